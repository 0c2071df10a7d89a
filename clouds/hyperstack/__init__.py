"""Hyperstack: GPUs of NexGen Cloud. See ``cloud.HyperstackCloud``."""

from stix.clouds.hyperstack.cloud import HyperstackCloud

__all__ = ["HyperstackCloud"]
