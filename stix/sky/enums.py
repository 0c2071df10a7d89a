"""SkyPilot's enumerations, by value."""

from __future__ import annotations

from enum import Enum, StrEnum


class OptimizeTarget(Enum):
    """What a plan makes small."""

    COST = 0
    TIME = 1


class StatusRefreshMode(Enum):
    """Whether a state is asked for anew; here it always is."""

    NONE = "NONE"
    AUTO = "AUTO"
    FORCE = "FORCE"


class ClusterStatus(Enum):
    """Where the nodes of a run stand."""

    INIT = "INIT"
    UP = "UP"
    STOPPED = "STOPPED"
    AUTOSTOPPING = "AUTOSTOPPING"
    PENDING = "PENDING"


class JobStatus(Enum):
    """Where a run stands."""

    INIT = "INIT"
    PENDING = "PENDING"
    SETTING_UP = "SETTING_UP"
    RUNNING = "RUNNING"
    FAILED_DRIVER = "FAILED_DRIVER"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAILED_SETUP = "FAILED_SETUP"
    CANCELLED = "CANCELLED"

    def is_terminal(self) -> bool:
        """Whether nothing changes any more."""
        return self.value in ("SUCCEEDED", "CANCELLED") or self.value.startswith("FAILED")


class ManagedJobStatus(Enum):
    """Where one stage of a run stands."""

    PENDING = "PENDING"
    DEPRECATED_SUBMITTED = "SUBMITTED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    WINDING_DOWN = "WINDING_DOWN"
    RECOVERING = "RECOVERING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    FAILED_SETUP = "FAILED_SETUP"
    FAILED_PRECHECKS = "FAILED_PRECHECKS"
    FAILED_NO_RESOURCE = "FAILED_NO_RESOURCE"
    FAILED_CONTROLLER = "FAILED_CONTROLLER"

    def is_terminal(self) -> bool:
        """Whether nothing changes any more."""
        return self.value in ("SUCCEEDED", "CANCELLED") or self.is_failed()

    def is_failed(self) -> bool:
        """Whether it failed."""
        return self.value.startswith("FAILED")


class StoreType(StrEnum):
    """The kinds of object stores."""

    S3 = "S3"
    GCS = "GCS"
    AZURE = "AZURE"
    R2 = "R2"
    IBM = "IBM"
    OCI = "OCI"
    NEBIUS = "NEBIUS"
    COREWEAVE = "COREWEAVE"
    VASTDATA = "VASTDATA"
    HF = "HF"
    VOLUME = "VOLUME"


class FileMountType(StrEnum):
    """What a cached mount is for."""

    MODEL_CHECKPOINT_RO = "MODEL_CHECKPOINT_RO"
    MODEL_CHECKPOINT_RW = "MODEL_CHECKPOINT_RW"
    DATASET_RO = "DATASET_RO"
    DATASET_RW = "DATASET_RW"
