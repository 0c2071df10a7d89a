"""What Slurm prints, read: words of refusals, reasons, states, sizes, names of hosts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from stix.clouds.base import CreateRequest, NodeState
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    QuotaError,
    TransientError,
)
from stix.clouds.hosts import HostFacts
from stix.clouds.settings import read_settings
from stix.clouds.slurm import jobs
from stix.clouds.slurm.login import SETTINGS
from stix.clouds.slurm.refusals import STATES, hopeless, refused
from stix.plan.offers import Demand, Offer

SUBMIT = "Batch job submission failed: "
WORDS = [
    (SUBMIT + "Requested node configuration is not available", InvalidRequest),
    (SUBMIT + "Invalid account or account/partition combination specified", InvalidRequest),
    (SUBMIT + "Invalid partition name specified", InvalidRequest),
    (SUBMIT + "Invalid qos specification", InvalidRequest),
    (SUBMIT + "Invalid feature specification", InvalidRequest),
    (SUBMIT + "Node count specification invalid", InvalidRequest),
    (SUBMIT + "Requested time limit is invalid (missing or exceeds some limit)", InvalidRequest),
    (SUBMIT + "Pathname of a file, directory or other parameter too long", InvalidRequest),
    ("Invalid generic resource (gres) specification", InvalidRequest),
    ("Invalid --time specification", InvalidRequest),
    (SUBMIT + "Job violates accounting/QOS policy (job submit limit, ...)", QuotaError),
    (SUBMIT + "User's group not permitted to use this partition", AuthError),
    (SUBMIT + "Access/permission denied", AuthError),
    (SUBMIT + "Required partition not available (inactive or drain)", CapacityError),
    (SUBMIT + "Socket timed out on send/recv operation", TransientError),
    ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", TransientError),
    ("Slurm temporarily unable to accept job, sleeping and retrying", TransientError),
    ("a thing that nobody has seen", CloudError),
]
REASONS = [
    ("None", None),
    ("Resources", None),
    ("Priority", None),
    ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", None),
    ("BeginTime", None),
    ("QOSMaxGRESPerUser", QuotaError),
    ("QOSMaxJobsPerUserLimit", QuotaError),
    ("AssocGrpCpuLimit", QuotaError),
    ("AssocGrpGRES", QuotaError),
    ("MaxJobsPerAccount", QuotaError),
    ("QOSNotAllowed", InvalidRequest),
    ("InvalidQOS", InvalidRequest),
    ("InvalidAccount", InvalidRequest),
    ("PartitionTimeLimit", InvalidRequest),
    ("PartitionNodeLimit", InvalidRequest),
    ("PartitionConfig", InvalidRequest),
    ("BadConstraints", InvalidRequest),
    ("JobHeldAdmin", InvalidRequest),
    ("JobHeldUser", InvalidRequest),
    ("launch_failed_requeued_held", InvalidRequest),
    ("PartitionDown", CapacityError),
    ("PartitionInactive", CapacityError),
    ("AReasonOfALaterRelease", None),
]


@pytest.mark.parametrize(("words", "kind"), WORDS)
def test_words_of_a_refusal(words: str, kind: type[CloudError]) -> None:
    error = refused(words)
    assert type(error) is kind
    assert words in error.message
    if isinstance(error, CapacityError):
        assert error.scope == "region"


@pytest.mark.parametrize(("reason", "kind"), REASONS)
def test_reasons_of_a_pending_job(reason: str, kind: type[CloudError] | None) -> None:
    assert type(hopeless(reason)) is (kind or type(None))


def test_every_state_that_slurm_documents_is_known() -> None:
    documented = """BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE FAILED NODE_FAIL
        OUT_OF_MEMORY PENDING PREEMPTED RUNNING RESV_DEL_HOLD REQUEUE_FED REQUEUE_HOLD REQUEUED
        RESIZING REVOKED SIGNALING SPECIAL_EXIT STAGE_OUT STOPPED SUSPENDED TIMEOUT"""
    assert not set(documented.split()) - set(STATES)
    assert STATES["PREEMPTED"] is NodeState.PREEMPTED
    assert STATES["NODE_FAIL"] is NodeState.FAILED


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("n1", ["n1"]),
        ("n[1-3,07],m", ["n1", "n2", "n3", "n07", "m"]),
        ("rack[1-2]n[08-09]x", ["rack1n08x", "rack1n09x", "rack2n08x", "rack2n09x"]),
    ],
)
def test_names_of_hosts(text: str, names: list[str]) -> None:
    assert jobs.hostnames(text) == names


def test_sizes_of_nodes() -> None:
    text = (
        "gpu|up|2|64|515000|gpu:a100_80gb:4(S:0-1),gpu:h100:2|idle\n"
        "gpu|up|1|64|515000|gpu:a100_80gb:4(S:0-1),gpu:h100:2|mixed\n"
        "gpu|up|1|64|515000|gpu:a100_80gb:4(S:0-1),gpu:h100:2|planned\n"
        "gpu|up|9|64|515000|gpu:a100_80gb:4(S:0-1),gpu:h100:2|drained\n"
        "cpu|up|5|16+|64000+|(null)|allocated\n"
        "old|down|5|16|64000|(null)|idle\n"
    )
    found = jobs.sizes(text)
    assert [(s.partition, s.count) for s in found] == [("gpu", 4), ("cpu", 5)]
    assert found[0].facts.accelerators == {"A100-80GB": 4, "H100": 2}
    assert found[0].gres == {"A100-80GB": "a100_80gb", "H100": "h100"}
    assert (found[1].facts.cpus, found[1].facts.memory_gib) == (16, 62.5)


OFFER = Offer("slurm", "gpu", None, "x", 8, 32)
REQUEST = CreateRequest(
    "token", OFFER, Demand(1.5, 2, {"A100": 2}), 3, "n", {"stix-home": "h", "word": "größe | 'x'"}
)
SIZE = jobs.Size("gpu", HostFacts(8, 32, {"A100": 4}), 5, {"A100": "a100"})


def test_a_wish_is_a_job_and_a_job_is_its_nodes() -> None:
    told = jobs.options(REQUEST, SIZE)
    assert {"--nodes=3-3", "--cpus-per-task=2", "--mem=2048M", "--gres=gpu:a100:2"} <= {*told}
    comment = jobs.comment(REQUEST)
    assert re.fullmatch(r"[A-Za-z0-9_.=-]+", comment)
    line = f"7|RUNNING|None|n[1,3]|gpu|1790000000|name|{comment}"
    job = jobs.job(line, {"7": "n[1-3]"}, ["7.1", "8", "6.0"])
    assert job is not None
    assert [(n.rank, n.address) for n in jobs.nodes("slurm", job, "/b", "/s")] == [
        (0, "n3"),
        (2, "n1"),
    ]
    node = jobs.nodes("slurm", job, "/b", "/s")[0]
    assert node.ref.id == "7.0" and node.ref.region == "gpu"
    assert node.tags == REQUEST.tags and node.accelerators == {"A100": [0, 1]}
    assert jobs.job(line, {}, ["7"]).ranks() == []  # type: ignore[union-attr]


def test_strangers_are_no_nodes() -> None:
    for comment in ("", "stix1.", "stix1.AAAA", "my|own|comment", "(null)"):
        assert jobs.job(f"7|RUNNING|None|n1|gpu|0|name|{comment}", {}, []) is None


def test_labels_that_no_comment_holds_are_refused() -> None:
    noise = "".join(chr(0x4E00 + (i * i * 7919) % 20000) for i in range(900))
    with pytest.raises(InvalidRequest, match="labels"):
        jobs.comment(replace(REQUEST, tags={"stix-home": "h", "long": noise}))


def test_the_script_holds_no_path_of_ours() -> None:
    text = jobs.script(REQUEST, "~/.stix", "/tmp/stix-1000")
    assert str(Path.cwd()) not in text
    assert text.startswith("#!/bin/sh\n")


def test_the_page_names_every_setting() -> None:
    page = Path(__file__).parents[3] / "docs" / "clouds" / "slurm.md"
    block = yaml.safe_load(page.read_text().split("```yaml\n")[1].split("```")[0])["slurm"]
    assert {*block} == {setting.name for setting in SETTINGS}
    assert read_settings("slurm", block, SETTINGS)["partitions"] == ("gpu", "cpu")
