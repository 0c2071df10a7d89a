"""Prime Intellect: a broker of GPUs of many providers. See ``cloud.PrimeIntellectCloud``."""

from stix.clouds.primeintellect.cloud import PrimeIntellectCloud

__all__ = ["PrimeIntellectCloud"]
