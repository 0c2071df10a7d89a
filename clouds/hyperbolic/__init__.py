"""Hyperbolic: GPUs of many hosts. See ``cloud.HyperbolicCloud``."""

from stix.clouds.hyperbolic.cloud import HyperbolicCloud

__all__ = ["HyperbolicCloud"]
