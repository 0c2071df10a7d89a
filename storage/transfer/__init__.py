"""Copies between stores, and between a store and this machine."""

from stix.storage.transfer.engine import copy
from stix.storage.transfer.entries import PIECE
from stix.storage.transfer.fetching import Fetched, fetch
from stix.storage.transfer.listing import listing
from stix.storage.transfer.options import Options, Progress, Report

__all__ = ["PIECE", "Fetched", "Options", "Progress", "Report", "copy", "fetch", "listing"]
