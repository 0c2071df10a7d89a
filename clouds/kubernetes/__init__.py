"""Kubernetes clusters as a cloud."""

from stix.clouds.kubernetes.cloud import KubernetesCloud

__all__ = ["KubernetesCloud"]
