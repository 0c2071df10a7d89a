"""SkyPilot's canonical form: what ``Task.to_yaml_config()`` of SkyPilot 0.14.1 gives."""

from __future__ import annotations

from stix.spec.sky.canonical import canonical

__all__ = ["canonical"]
