"""The STIX API, ``/stix/v1``: see docs/architecture.md."""

from stix.server.api.app import create_api

__all__ = ["create_api"]
