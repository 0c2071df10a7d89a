from __future__ import annotations

from tests.support.azurite import azure_server
from tests.support.gcs import google_server
from tests.support.s3 import s3_server
from tests.support.sftp import sftp_server

__all__ = ["azure_server", "google_server", "s3_server", "sftp_server"]
