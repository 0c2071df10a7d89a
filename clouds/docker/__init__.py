"""Containers of this machine as a cloud, by the API of Docker or Podman."""

from stix.clouds.docker.cloud import DockerCloud, PodmanCloud

__all__ = ["DockerCloud", "PodmanCloud"]
