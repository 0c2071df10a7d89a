"""The API of a real server: shapes, refusals, a run from submission to its end."""

from __future__ import annotations

import io
import tarfile
import urllib.request
from typing import Any

import pytest

from tests.support.server import ServerHome, eventually

pytestmark = pytest.mark.server


def submit(server: ServerHome, spec: dict[str, Any], **more: Any) -> str:
    return str(server.api("POST", "/runs", {"spec": spec, **more})["id"])


def one(command: str, **more: Any) -> dict[str, Any]:
    return {"name": "api", "stages": {"one": {"run": command, **more}}}


def test_health_needs_no_token(stix_server: ServerHome) -> None:
    answer = stix_server.call("GET", "/health", token="")
    assert answer.status == 200
    assert answer.body["ok"] is True
    assert answer.body["home"] == str(stix_server.home)


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
def test_other_calls_need_the_token(stix_server: ServerHome, token: str) -> None:
    for method, path in (("GET", "/status"), ("POST", "/stop"), ("GET", "/runs"), ("GET", "/no")):
        answer = stix_server.call(method, path, token=token.encode().decode("latin-1"))
        assert answer.status == 401, path
        assert answer.body["error"]["fix"]


def test_the_token_is_private(stix_server: ServerHome) -> None:
    assert (stix_server.home / "token").stat().st_mode & 0o777 == 0o600
    assert (stix_server.home / "server.json").stat().st_mode & 0o777 == 0o600
    assert stix_server.home.stat().st_mode & 0o777 == 0o700


def test_status_names_each_process(stix_server: ServerHome) -> None:
    status = stix_server.api("GET", "/status")
    rows = {row["name"]: row for row in status["processes"]}
    assert set(rows) == {"supervisor", "server", "postgres", "engine-1"}
    for row in rows.values():
        assert row["state"] == "running"
        assert row["pid"] > 0 and row["started"] > 0 and row["restarts"] >= 0
    assert status["urls"]["prefect_ui"] == stix_server.url


def test_a_run_from_submission_to_its_end(stix_server: ServerHome) -> None:
    run = submit(stix_server, one("echo to-the-log; echo more"))
    row = stix_server.wait_for_run(run)
    assert row["state"] == "succeeded", row
    [stage] = row["stages"]
    assert stage["key"] == "one" and stage["state"] == "succeeded"
    assert [attempt["number"] for attempt in stage["attempts"]] == [1]
    piece = stix_server.api("GET", f"/runs/{run}/logs?stage=one&attempt=1&wait=5")
    assert piece == {"data": "to-the-log\nmore\n", "offset": 16, "end": True, "attempt": 1}
    rest = stix_server.api("GET", f"/runs/{run}/logs?stage=one&offset=11")
    assert rest["data"] == "more\n"
    events = stix_server.api("GET", f"/runs/{run}/events?after=0")
    numbers = [event["number"] for event in events]
    assert numbers == list(range(1, len(events) + 1))
    assert stix_server.api("GET", f"/runs/{run}/events?after={numbers[-1]}&wait=0.2") == []
    assert stix_server.api("GET", f"/runs/{run[:-2]}")["id"] == run
    assert run in {each["id"] for each in stix_server.api("GET", "/runs?limit=100")}


def test_events_wait_for_news(stix_server: ServerHome) -> None:
    run = submit(stix_server, one("sleep 600"))
    seen = stix_server.api("GET", f"/runs/{run}/events?after=0&wait=30")
    assert seen[0]["kind"] == "run"
    eventually(lambda: stix_server.api("GET", f"/runs/{run}")["stages"][0]["attempts"])
    last = stix_server.api("GET", f"/runs/{run}/events?after=0")[-1]["number"]
    assert stix_server.api("POST", f"/runs/{run}/cancel")["state"] in ("cancelling", "cancelled")
    news = stix_server.api("GET", f"/runs/{run}/events?after={last}&wait=30")
    assert news and news[0]["number"] == last + 1
    assert stix_server.wait_for_run(run)["state"] == "cancelled"


def test_resume_asks_for_forgotten_secrets(stix_server: ServerHome) -> None:
    spec = {"name": "api", "secrets": {"KEY": None}, "stages": {"one": {"run": "test -f /no/$KEY"}}}
    refused = stix_server.call("POST", "/runs", {"spec": spec})
    assert refused.status == 422
    assert refused.body["error"]["problems"][0]["path"] == "secrets.KEY"
    run = submit(stix_server, spec, secrets={"KEY": "hidden-value"})
    assert stix_server.wait_for_run(run)["state"] == "failed"
    eventually(lambda: run not in {p.name for p in (stix_server.home / "vault").iterdir()})
    refused = stix_server.call("POST", f"/runs/{run}/resume")
    assert refused.status == 400
    assert "KEY" in refused.body["error"]["message"]
    stix_server.api("POST", f"/runs/{run}/resume", {"secrets": {"KEY": "hidden-value"}})
    assert stix_server.wait_for_run(run)["resumes"] == 1


def test_source_text_is_kept_without_secrets(stix_server: ServerHome) -> None:
    spec = {"name": "api", "secrets": {"KEY": None}, "stages": {"one": {"run": "true"}}}
    source = {"file": "p.yaml", "text": "secrets: {KEY: hidden-value}"}
    run = submit(stix_server, spec, secrets={"KEY": "hidden-value"}, source=source)
    kept = stix_server.api("GET", f"/runs/{run}")
    assert kept["source"] == {"file": "p.yaml", "text": "secrets: {KEY: ***}"}
    assert "hidden-value" not in str(kept)
    stix_server.wait_for_run(run)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"name": "x", "stages": {"a": {"run": "true", "nmae": 1}}}, "stages.a.nmae"),
        ({"name": "x", "stages": {"a": {"run": "true", "needs": ["b"]}}}, "stages.a.needs[0]"),
    ],
)
def test_a_wrong_pipeline_is_explained(
    stix_server: ServerHome, spec: dict[str, Any], path: str
) -> None:
    for call in ("/runs", "/plan"):
        answer = stix_server.call("POST", call, {"spec": spec})
        assert answer.status == 422, answer
        [problem] = answer.body["error"]["problems"]
        assert problem["path"] == path
        assert problem["fix"]


def test_a_missing_upload_is_refused(stix_server: ServerHome) -> None:
    body = {"spec": one("true", workdir=".")}
    answer = stix_server.call("POST", "/runs", body)
    assert answer.status == 400 and "uploaded" in answer.body["error"]["message"]
    answer = stix_server.call("POST", "/runs", {**body, "uploads": {".": "0" * 64}})
    assert answer.status == 400 and "upload it again" in answer.body["error"]["fix"]


def test_trees_go_in_and_out(stix_server: ServerHome) -> None:
    content = b"0123456789" * 200_000
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("data.bin")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    stored = stix_server.api("POST", "/trees", packed.getvalue())
    assert stored["files"] == 1 and stored["bytes"] == len(content)
    shown = stix_server.api("GET", f"/artifacts/{stored['digest']}")
    assert [entry["path"] for entry in shown["files"]] == ["data.bin"]
    back = stix_server.api("GET", f"/artifacts/{stored['digest']}/tar")
    with tarfile.open(fileobj=io.BytesIO(back)) as tar:
        file = tar.extractfile("data.bin")
        assert file is not None and file.read() == content
    assert stix_server.call("GET", f"/artifacts/{'0' * 64}/tar").status == 404


def test_a_tree_cut_off_is_refused(stix_server: ServerHome) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("data.bin")
        entry.size = 100_000
        tar.addfile(entry, io.BytesIO(bytes(100_000)))
    answer = stix_server.call("POST", "/trees", packed.getvalue()[:50_000])
    assert answer.status >= 400
    assert answer.body["error"]["message"]


def test_plan_check_and_nodes(stix_server: ServerHome) -> None:
    plan = stix_server.api("POST", "/plan", {"spec": one("true")})
    assert plan["stages"][0]["chosen"]["offer"]["cloud"] == "local"
    impossible = one("true", resources={"cpus": 4000})
    refused = stix_server.call("POST", "/plan", {"spec": impossible})
    assert refused.status == 422 and "one" in refused.body["error"]["message"]
    clouds = {row["name"]: row for row in stix_server.api("GET", "/check")}
    assert clouds["local"]["enabled"] is True and clouds["local"]["offers"] >= 1
    assert clouds["ssh"]["enabled"] is True or clouds["ssh"]["error"]["fix"]
    assert stix_server.call("POST", "/nodes/none/chaos", {"action": "kill"}).status == 404
    assert stix_server.call("POST", "/nodes/none/chaos", {"action": "hug"}).status == 400


def test_chaos_takes_a_node_away(stix_server: ServerHome) -> None:
    run = submit(stix_server, one("sleep 600", recovery="none"))

    def mine() -> Any:
        return [node for node in stix_server.api("GET", "/nodes") if node["run"] == run]

    [node] = eventually(mine)
    eventually(lambda: stix_server.api("GET", f"/runs/{run}/logs?stage=one") is not None)
    answer = stix_server.api("POST", f"/nodes/{node['id']}/chaos", {"action": "kill"})
    assert answer == {"id": node["id"], "action": "kill"}
    assert stix_server.wait_for_run(run)["state"] == "failed"
    eventually(lambda: not mine())


def test_why_compares_with_the_last_run(stix_server: ServerHome) -> None:
    first = submit(stix_server, {"name": "why", "stages": {"one": {"run": "echo 1"}}})
    stix_server.wait_for_run(first)
    answer = stix_server.api("GET", f"/runs/{first}/why?stage=one")
    assert answer["ran"] is True and "no earlier run" in answer["reason"]
    second = submit(stix_server, {"name": "why", "stages": {"one": {"run": "echo 2"}}})
    stix_server.wait_for_run(second)
    answer = stix_server.api("GET", f"/runs/{second}/why?stage=one")
    assert [part["part"] for part in answer["parts"] if part["changed"]] == ["run"]
    assert answer["reason"] == "changed since the last run: run"
    third = submit(stix_server, {"name": "why", "stages": {"one": {"run": "echo 2"}}})
    stix_server.wait_for_run(third)
    answer = stix_server.api("GET", f"/runs/{third}/why?stage=one")
    assert "nothing changed" in answer["reason"] and "declares no outputs" in answer["reason"]


def test_unknown_names(stix_server: ServerHome) -> None:
    run = submit(stix_server, one("true"))
    assert stix_server.call("GET", "/runs/none-such").status == 404
    assert stix_server.call("GET", f"/runs/{run}/logs?stage=none").status == 404
    assert stix_server.call("GET", f"/runs/{run}/logs").status == 400
    assert stix_server.call("GET", f"/runs/{run}/why?stage=none").status == 404
    assert stix_server.call("GET", "/runs?limit=-1").status == 400
    assert stix_server.call("GET", "/nothing").status == 404
    stix_server.wait_for_run(run)


def test_the_ui_loads_without_a_network(stix_server: ServerHome) -> None:
    def get(path: str) -> bytes:
        request = urllib.request.Request(stix_server.url + path, headers={"Accept": "text/html"})
        with urllib.request.urlopen(request, timeout=30) as response:
            data: bytes = response.read()
            return data

    page = get("/").decode()
    addresses = [part.split('"')[0] for part in page.split('src="')[1:] + page.split('href="')[1:]]
    assert addresses
    assert not [a for a in addresses if a.startswith(("http:", "https:", "//"))]
    assets = [a for a in addresses if a.endswith((".js", ".css"))]
    assert assets
    for asset in assets:
        content = get("/" + asset.lstrip("/"))
        assert content and b"<html" not in content[:200].lower()
    settings = get("/ui-settings").decode()
    assert f"{stix_server.url}/api" in settings
