"""Hosts of our own as a cloud."""

from stix.clouds.ssh.cloud import SshCloud

__all__ = ["SshCloud"]
