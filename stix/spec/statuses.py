"""What each key of a file is in this release: used, mapped to something else, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from stix.spec.base import Spec
from stix.spec.caching import CacheSpec
from stix.spec.checkpoint import CheckpointSpec
from stix.spec.edges import InputSpec, OutputSpec
from stix.spec.estimate import EstimateSpec
from stix.spec.models import PipelineSpec
from stix.spec.mountconfig import CacheOptions, MountOptions, StorageConfig
from stix.spec.recovery import JobRecovery, RecoveryPolicy, Rule
from stix.spec.resources import Resources
from stix.spec.stage import StageSpec
from stix.spec.storage import DISK, MODES, StorageMount, is_url
from stix.spec.volumes import VolumeMount
from stix.spec.words.autostop import Autostop
from stix.spec.workdir import GitSource

Word = Literal["used", "mapped", "refused"]


@dataclass(frozen=True)
class Status:
    """What a key is.

    Attributes:
        word: ``used``: something acts on it. ``mapped``: something else does what it asks for.
            ``refused``: nothing does, so that a file that holds it does not run.
        to: Where it is mapped to, or what to write instead.
        why: Why it is refused, or how far the mapping goes.
        below: The key below this one at which a refusal is shown, where the file holds it.
        whole: ``why`` is a sentence of its own, and is not about the key as such.
    """

    word: Word
    to: str = ""
    why: str = ""
    below: str = ""
    whole: bool = False

    def naming(self, value: str) -> Status:
        """The same about a value."""
        to, why = self.to.replace("{value}", value), self.why.replace("{value}", value)
        return replace(self, to=to, why=why)


@dataclass(frozen=True)
class Cases:
    """A status that depends on the value.

    Attributes:
        of: The case of a value, as a file or a model has it, and what to call the value.
        cases: Case, in words of the documentation, to status.
        each: The value is a map whose entries have a status each.
    """

    of: Callable[[Any], tuple[str, str]]
    cases: Mapping[str, Status]
    each: bool = False

    def status(self, value: Any) -> Status:
        case, shown = self.of(value)
        return self.cases[case].naming(shown)


USED = Status("used")
NOTHING = Status("mapped", "its default", "nothing is given")


def _mapped(to: str, why: str = "") -> Status:
    return Status("mapped", to, why)


def _refused(why: str, instead: str) -> Status:
    return Status("refused", instead, why)


def _value(why: str, instead: str, below: str = "") -> Status:
    """A refusal of a value, rather than of the key."""
    return Status("refused", instead, why, below, whole=True)


def _used(names: str) -> dict[str, Status | Cases]:
    return dict.fromkeys(names.split(), USED)


_BY_MEMORY = re.compile(r"(?:[A-Za-z]+:)?\d+(?:\.\d+)?GB\+?(?::\d+(?:\.\d+)?)?\Z", re.IGNORECASE)
# The schemes of the stores (stix.storage.stores).
_COPIED = frozenset(
    {
        *("az", "cos", "cw", "file", "gs", "hf", "https"),
        *("nebius", "oci", "r2", "s3", "sftp", "vastdata"),
    }
)
_MOUNTED = _COPIED - {"file", "hf"}
_AZURE = ".blob.core.windows.net/"
_REFERENCE = "secrets:"


def _accelerators(value: Any) -> tuple[str, str]:
    entries = value if isinstance(value, list | tuple | dict) else [value]
    for name in entries:
        if isinstance(name, dict):
            return _accelerators(name)
        if isinstance(name, str) and _BY_MEMORY.match(name.strip()):
            return "by memory", name.strip()
    return "by name", ""


def _secrets(value: Any) -> tuple[str, str]:
    """References to a store of secrets; a map may hold their names without a value as well."""
    names = []
    for name in value if isinstance(value, list | tuple | dict) else ():
        empty = isinstance(value, dict) and value[name] is None
        if isinstance(name, str) and (empty or name.startswith(_REFERENCE)):
            names.append(name.removeprefix(_REFERENCE).rpartition(".")[2])
    return ("by reference" if names else "by name or value"), ", ".join(
        f"--secret {name}" for name in names
    )


def _sized(value: Any) -> tuple[str, str]:
    sizes = isinstance(value, dict) and [
        isinstance(size, int | float) and not isinstance(size, bool) for size in value.values()
    ]
    return ("{uri: GB}" if sizes == [True] else "edges of the pipeline"), ""


def _flag(value: Any) -> tuple[str, str]:
    return ("false" if value is False else "true"), ""


def _disk_size(value: Any) -> tuple[str, str]:
    return ("256" if str(value).strip().lower() in ("256", "256gb", "256gi") else "any other"), ""


def _execution(value: Any) -> tuple[str, str]:
    return ("parallel" if value == "parallel" else "serial"), ""


def _held(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _mount(value: Any) -> tuple[str, str]:
    """An entry of ``file_mounts``: a text copies; a map mounts unless it says otherwise."""
    if isinstance(value, str):
        return _source(value)
    store, source = _held(value, "store"), _held(value, "source")
    address = isinstance(source, str) and is_url(source)
    if store == DISK:
        return "a disk", ""
    if not address and str(store).upper() == "HF":
        return "a bucket of the Hub", ""
    mode = str(_held(value, "mode") or "MOUNT").upper()
    if mode in MODES and mode != "COPY":
        return _mounted(source, mode)
    if _held(value, "name") and not address:
        return "a bucket by its name", ""
    if isinstance(source, list | tuple):
        return "several sources", ""
    return _source(source)


def _mounted(source: Any, mode: str) -> tuple[str, str]:
    """A bucket, by its URL or by its name."""
    if not isinstance(source, str) or not is_url(source):
        return "a mount", mode
    scheme = source.partition("://")[0].lower()
    good = scheme in _MOUNTED and (scheme != "https" or _AZURE in source.lower())
    return ("a mount" if good else "a mount of another store"), scheme


def _source(value: Any) -> tuple[str, str]:
    if not isinstance(value, str):
        return "no source", ""
    scheme = value.partition("://")[0].lower() if is_url(value) else "file"
    return ("a copy" if scheme in _COPIED else "a copy from another store"), scheme


_NO_IMAGES = _refused("images and containers are not chosen", "install what you need in setup")
_NO_HOOKS = _refused(
    "hooks are not run", "do it at the end of run, or in a stage that needs this one"
)
_NO_CONFIG = _refused("per-task configuration of clouds does not act", "remove config")
_END = _mapped("the end of the stage", "a node is released as soon as its stage ends")
_NO_GROUPS = "job groups are not run by this release"
_RECOVERY = "recovery of the stage"

MOUNT = Cases(
    _mount,
    {
        "a copy": USED,
        "a copy from another store": _value(
            "copies from {value}:// are not made by this release",
            "use a local path, or the URL of a store: s3://, gs://, https:// ...",
        ),
        "a mount": USED,
        "a mount of another store": _value(
            "{value}:// is not mounted", "write mode: COPY, or the source as plain text", "mode"
        ),
        "a bucket by its name": USED,
        "a bucket of the Hub": _value(
            "buckets of Hugging Face are not made", "choose another store", "store"
        ),
        "a disk": _value(
            "disks are attached by name alone",
            "make one with stix volumes apply, and write volumes: {/PATH: NAME} in the task",
            "store",
        ),
        "several sources": _value("one source is needed", "name one path or URL", "source"),
        "no source": _value("one source is needed", "name one path or URL"),
    },
)
_ACCELERATORS = {
    "by name": USED,
    "by memory": _mapped("any_of: the accelerators with {value}"),
}

STAGE: dict[str, Status | Cases] = {
    **_used("name workdir num_nodes resources file_mounts setup run envs needs"),
    **_used("matrix max_parallel allowed_failures when recovery cache timeout estimate checkpoint"),
    "secrets": Cases(
        _secrets,
        {
            "by name or value": USED,
            "by reference": _mapped("{value}", "there is no store of secrets"),
        },
        each=True,
    ),
    **{
        f"{prefix}{word}": Cases(
            _sized,
            {
                "edges of the pipeline": USED,
                "{uri: GB}": _mapped(f"estimate.{word}", "it is a size for the plan"),
            },
        )
        for prefix in ("", "egress_")
        for word in ("inputs", "outputs")
    },
    "service": _refused(
        "services are not run by this release", "run the command as a stage without service"
    ),
    "pool": _refused(
        "pools of workers are not run by this release", "run the command as a stage without pool"
    ),
    "config": _NO_CONFIG,
    "experimental": replace(_NO_CONFIG, to="remove experimental, an old name of config"),
    "event_callback": _refused(
        "callbacks are not called", "remove it; follow the run with stix logs"
    ),
    "volumes": USED,
    "volume_mounts": _refused("this is SkyPilot's own field", "write volumes: {/PATH: NAME}"),
    "managed_secrets": _refused(
        "there is no store of secrets", "write secrets: [NAME] and pass --secret NAME"
    ),
    "api_server_access": Cases(
        _flag,
        {
            "true": _refused("stages get no access to the server", "remove it"),
            "false": _mapped("the default", "stages get no access to the server"),
        },
    ),
    "file_mounts_mapping": _refused("this is SkyPilot's own field", "remove it"),
    "secret_references": _mapped("--secret NAME", "there is no store of secrets"),
    **dict.fromkeys(
        ("_metadata", "_user_specified_yaml"),
        _mapped("nothing", "it is a note of SkyPilot about the file"),
    ),
}

RESOURCES: dict[str, Status | Cases] = {
    **_used(
        "infra cpus memory instance_type use_spot max_hourly_cost local_disk arch any_of ordered"
        " labels image_id ports"
    ),
    **dict.fromkeys(("cloud", "region", "zone"), _mapped("infra")),
    "accelerators": Cases(_accelerators, _ACCELERATORS, each=True),
    "gpus": Cases(_accelerators, {**_ACCELERATORS, "by name": _mapped("accelerators")}, each=True),
    "job_recovery": _mapped(_RECOVERY),
    "spot_recovery": _mapped(_RECOVERY, "it is an old name of job_recovery"),
    "autostop": _END,
    "ephemeral_storage": _mapped("nothing", "SkyPilot accepts and ignores it too"),
    **dict.fromkeys(
        ("_docker_login_config", "_docker_username_for_runpod", "_is_image_managed"),
        _NO_IMAGES,
    ),
    "_requires_fuse": _mapped("mode of file_mounts", "it follows from them"),
    "_cluster_config_overrides": _NO_CONFIG,
    "_no_missing_accel_warnings": _mapped("nothing", "it silences a message of SkyPilot"),
    "disk_size": Cases(
        _disk_size,
        {
            "256": _mapped("its default", "SkyPilot, too, takes its former default for no wish"),
            "any other": USED,
        },
    ),
    "disk_tier": _refused("the tier of the disk is not chosen", "remove disk_tier"),
    "network_tier": _refused("the tier of the network is not chosen", "remove network_tier"),
    "priority": _refused("there is no queue by priority", "remove priority"),
    "priority_class": _refused("there is no queue by priority", "remove priority_class"),
    "accelerator_args": _refused("arguments of accelerators do not act", "remove accelerator_args"),
    "volumes": _refused(
        "disks are attached by name alone",
        "make one with stix volumes apply, and write volumes: {/PATH: NAME} in the task",
    ),
}

PIPELINE: dict[str, Status | Cases] = {
    **_used("name envs defaults stages deadline max_parallel"),
    "secrets": STAGE["secrets"],
    "execution": Cases(
        _execution,
        {
            "serial": USED,
            "parallel": _value(
                f"execution: parallel does not act: {_NO_GROUPS}",
                "write stages: with the tasks side by side, without needs",
            ),
        },
    ),
    **{
        name: _refused(_NO_GROUPS, f"remove {name}")
        for name in ("primary_tasks", "termination_delay", "inter_connection")
    },
}

TABLE: dict[type[Spec], dict[str, Status | Cases]] = {
    PipelineSpec: PIPELINE,
    StageSpec: STAGE,
    Resources: RESOURCES,
    VolumeMount: {
        **_used("name sub_path size type labels config"),
        **dict.fromkeys(
            ("host_path", "mode"),
            _refused(
                "folders of the host are not mounted",
                "use the folder by its own path in run: on hosts of your own it is there",
            ),
        ),
    },
    StorageMount: {
        **_used("source mode name store persistent type config _bucket_sub_path"),
        **dict.fromkeys(
            ("_is_sky_managed", "_force_delete"),
            _mapped("nothing", "it is a note of SkyPilot about the bucket"),
        ),
    },
    StorageConfig: {
        **_used("mount_cached mount"),
        **dict.fromkeys(
            ("disk_size", "disk_tier", "storage_type", "attach_mode"),
            _refused("a disk is not attached this way", "name it under volumes"),
        ),
    },
    CacheOptions: _used(
        "transfers buffer_size vfs_cache_max_size vfs_cache_max_age vfs_read_ahead"
        " vfs_read_chunk_size vfs_read_chunk_streams vfs_write_back read_only"
    ),
    MountOptions: {
        "read_only": USED,
        "hf_mount_args": _refused("repositories of Hugging Face are not mounted", "remove it"),
    },
    Autostop: {
        **dict.fromkeys(("idle_minutes", "down", "wait_for"), _END),
        **dict.fromkeys(("hook", "hook_timeout"), _NO_HOOKS),
    },
    JobRecovery: {
        "strategy": _mapped(f"{_RECOVERY}: next of preempted and node_lost"),
        "max_restarts_on_errors": _mapped(f"{_RECOVERY}: retries of user_error"),
        "recover_on_exit_codes": _mapped(f"{_RECOVERY}: free_exit_codes of user_error"),
    },
    RecoveryPolicy: _used("capacity preempted node_lost setup_failed user_error timeout"),
    Rule: _used("retries backoff max_backoff next exit_codes free_exit_codes"),
    InputSpec: _used("from path shared"),
    OutputSpec: _used("path"),
    CacheSpec: _used("enabled resources"),
    EstimateSpec: _used("time accelerators outputs inputs checkpoint"),
    CheckpointSpec: _used("path every keep"),
    GitSource: _used("url ref"),
}
"""Every key that a model accepts. What lies below a refused key is refused with it."""

WHOLE: dict[type[Spec], Cases] = {StorageMount: MOUNT}
"""Models whose status as a whole depends on the value; keys of their own count if it is used."""
