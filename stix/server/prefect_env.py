"""Prefect's settings, by environment, in one place: for the server and for every engine."""

from __future__ import annotations

from pathlib import Path

from stix.config import Config

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_LOGGING_COLORS": "false",
}


def _common(config: Config, api: str) -> dict[str, str]:
    return {
        **QUIET,
        "STIX_HOME": str(config.home),
        "PREFECT_HOME": str(config.prefect_home),
        # A profile of the user must not change what our processes do.
        "PREFECT_PROFILES_PATH": str(config.prefect_home / "profiles.toml"),
        "PREFECT_API_URL": api,
    }


def server_env(config: Config, url: str, database_url: str) -> dict[str, str]:
    """Settings of the server process.

    Args:
        config: The home.
        url: Public address, ``http://127.0.0.1:<port>``.
        database_url: Prefect's database, ``postgresql+asyncpg://...``.
    """
    recorder = "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER"
    return {
        **_common(config, f"{url}/api"),
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(ui_folder(config)),
        # The recorder drops an event after 6 failed flushes: 6 x 5 s is the longest outage of the
        # database that loses no task-run row.
        f"{recorder}_BATCH_SIZE": "200",
        f"{recorder}_READ_BATCH_SIZE": "200",
        f"{recorder}_FLUSH_INTERVAL": "5",
        "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }


def engine_env(config: Config, url: str, engine_id: str) -> dict[str, str]:
    """Settings of an engine process, whose Prefect API is behind the fence.

    Args:
        config: The home.
        url: Public address of the server.
        engine_id: The engine's row in the ledger.
    """
    return {
        **_common(config, f"{url}/e/{engine_id}/api"),
        "PREFECT_UI_URL": url,
        "PREFECT_LOGGING_TO_API_ENABLED": "true",
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,504",
    }


def ui_folder(config: Config) -> Path:
    """Where Prefect copies its UI; the package's own folder may be read-only or shared."""
    return config.prefect_home / "ui"
