"""``sky.serve``: services have no room yet; their spec has."""

from __future__ import annotations

from typing import Any

from stix.sky.arguments import lookup

WORKS = {"SkyServiceSpec": "stix.spec.service:ServiceSpec"}
NOT_YET = dict.fromkeys(
    (
        "DEFAULT_UPDATE_MODE",
        "INITIAL_VERSION",
        "LB_CONTROLLER_SYNC_INTERVAL_SECONDS",
        "LB_POLICIES",
        "ReplicaStatus",
        "SKYSERVE_METADATA_DIR",
        "ServeCodeGen",
        "ServiceComponent",
        "ServiceStatus",
        "UpdateMode",
        "down",
        "format_service_table",
        "generate_replica_cluster_name",
        "generate_service_name",
        "status",
        "sync_down_logs",
        "tail_logs",
        "terminate_replica",
        "up",
        "update",
    ),
    "services",
)


def __getattr__(name: str) -> Any:
    return lookup("sky.serve", WORKS, NOT_YET, name)
