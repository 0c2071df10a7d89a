"""Point the Prefect of a user's own process at the local STIX server."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

from stix.client.local import ensure_server

OFF = "STIX_PREFECT"
"""Set to ``off``, Prefect in this process is left alone."""

_lock = threading.Lock()
_entered = ExitStack()
_done: list[str] = []


def use_local_server() -> None:
    """Once per process: where no Prefect API is configured, use that of the local STIX server.

    Configured means: PREFECT_API_URL in the environment, an ``.env`` file, ``prefect.toml``,
    ``pyproject.toml`` or the active profile; then nothing is changed. Prefect reads its settings
    when it is imported, so they are changed by ``prefect.settings.temporary_settings``, entered
    for the rest of the process; processes started later see the environment variable. A plain
    ``threading.Thread`` started before the change, or without a copied context, does not see it.
    """
    if os.environ.get(OFF, "").lower() in ("off", "0", "false", "no"):
        return
    with _lock:
        if _done:
            return
        from prefect.settings import PREFECT_API_URL

        if not PREFECT_API_URL.value():
            _enter(ensure_server().url)
        _done.append("done")


def _enter(url: str) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

    os.environ.setdefault("PREFECT_API_URL", f"{url}/api")
    os.environ.setdefault("PREFECT_UI_URL", url)
    _entered.enter_context(temporary_settings({PREFECT_API_URL: f"{url}/api", PREFECT_UI_URL: url}))
