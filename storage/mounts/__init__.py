"""Mounts of buckets on nodes: which tool, with which arguments, alive, flushed."""

from stix.storage.mounts.access import Grant, granted
from stix.storage.mounts.command import MountCommand, Wish, mount_command
from stix.storage.mounts.live import Bounds, Place, Waiting, answers, await_mounted, flush, waiting
from stix.storage.mounts.options import options_of
from stix.storage.mounts.probe import Found, probe
from stix.storage.mounts.ship import with_rclone

__all__ = [
    "Bounds",
    "Found",
    "Grant",
    "MountCommand",
    "Place",
    "Waiting",
    "Wish",
    "answers",
    "await_mounted",
    "flush",
    "granted",
    "mount_command",
    "options_of",
    "probe",
    "waiting",
    "with_rclone",
]
