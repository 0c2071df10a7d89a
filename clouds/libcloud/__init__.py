"""Clouds of the long tail, by way of Apache Libcloud: Vultr, Linode, OpenStack and OVHcloud.

See ``cloud.LibcloudCloud`` for what they share. Libcloud is loaded at the first call to one.
"""

from stix.clouds.libcloud.linode import LinodeCloud
from stix.clouds.libcloud.openstack import OpenStackCloud
from stix.clouds.libcloud.ovh import OvhCloud
from stix.clouds.libcloud.vultr import VultrCloud

__all__ = ["LinodeCloud", "OpenStackCloud", "OvhCloud", "VultrCloud"]
