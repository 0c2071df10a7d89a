"""Amazon EC2."""

from stix.clouds.aws.cloud import AwsCloud

__all__ = ["AwsCloud"]
