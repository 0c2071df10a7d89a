"""Word that a node is about to go: from its provider, or by SIGTERM to its agent.

A provider is asked at its metadata service, which answers on the node alone. The agent that is told
to end leaves a note, and waits for a moment where somebody listens.
"""

from __future__ import annotations

import json
import os
import time

from . import files

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Tuple

    Answer = Tuple[int, bytes]

TICK_S = 0.25
POLL_S = 5.0
"""What AWS advises; Google gives 30 s, Azure at least 30 s."""
ANSWER_S = 2.0
LATE_S = 30.0
"""Between two calls of somebody who listens."""
FAREWELL_S = 20.0
TOKEN = "X-aws-ec2-metadata-token"
AZURE_GOES = ("Preempt", "Terminate", "Redeploy")


def notice(request: dict[str, Any]) -> dict[str, Any]:
    """Wait up to ``seconds`` for a notice of the node whose directory is ``directory``.

    With ``done`` nobody listens any more, and an agent that waits may end.

    Returns:
        ``notice``: empty, ``terminated``, ``preempted``, or ``gone`` where there is no node.
    """
    directory, provider = request["directory"], request.get("provider", "")
    watch = os.path.join(directory, "watch.json")
    if request.get("done"):
        files.discard(watch)
        return {"notice": ""}
    end = time.monotonic() + float(request["seconds"])
    next_poll = 0.0
    if not os.path.isdir(directory):
        return {"notice": "gone"}
    files.write_json(watch, {"until": time.time() + float(request["seconds"]) + LATE_S})
    while os.path.isdir(directory):
        if os.path.exists(os.path.join(directory, "notice.json")):
            return {"notice": "terminated"}
        if provider in PROVIDERS and time.monotonic() >= next_poll:
            if told(provider, request["url"]):
                return {"notice": "preempted"}
            next_poll = time.monotonic() + POLL_S
        if time.monotonic() >= end:
            return {"notice": ""}
        time.sleep(TICK_S)
    return {"notice": "gone"}


def watched(directory: str) -> bool:
    """Whether somebody listens, and has not said that they are done."""
    watch = files.read_json(os.path.join(directory, "watch.json")) or {}
    return float(watch.get("until", 0)) > time.time()


def leave_note(directory: str) -> bool:
    """Tell who listens that the agent was told to end; False where that cannot be written."""
    try:
        files.write_json(os.path.join(directory, "notice.json"), {"at": time.time()})
    except OSError:
        return False
    return True


def told(provider: str, url: str) -> bool:
    """Whether the provider says that it takes this machine; silence says nothing."""
    try:
        return PROVIDERS[provider](url)
    except (OSError, ValueError, AttributeError, TypeError):  # or what it says is no answer
        return False


def _aws(url: str) -> bool:
    status, token = _ask(url, "/latest/api/token", "PUT", {TOKEN + "-ttl-seconds": "60"})
    headers = {TOKEN: token.decode("ascii")} if status == 200 else {}
    status, body = _ask(url, "/latest/meta-data/spot/instance-action", "GET", headers)
    return status == 200 and json.loads(body).get("action") in ("terminate", "stop", "hibernate")


def _gcp(url: str) -> bool:
    path = "/computeMetadata/v1/instance/preempted"
    status, body = _ask(url, path, "GET", {"Metadata-Flavor": "Google"})
    return status == 200 and body.strip() == b"TRUE"


def _azure(url: str) -> bool:
    path = "/metadata/scheduledevents?api-version=2020-07-01"
    status, body = _ask(url, path, "GET", {"Metadata": "true"})
    events = json.loads(body).get("Events", []) if status == 200 else []
    return any(event.get("EventType") in AZURE_GOES for event in events)


PROVIDERS: Dict[str, Callable[[str], bool]]
PROVIDERS = {"aws": _aws, "gcp": _gcp, "azure": _azure}


def _ask(url: str, path: str, method: str, headers: dict[str, str]) -> Answer:
    """One request to the metadata service; never by a proxy."""
    import http.client

    host = url.partition("://")[2].rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=ANSWER_S)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(1 << 20)
    except http.client.HTTPException as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()
