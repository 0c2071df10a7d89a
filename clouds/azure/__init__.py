"""Azure: virtual machines. See ``cloud.AzureCloud``."""

from stix.clouds.azure.cloud import AzureCloud

__all__ = ["AzureCloud"]
