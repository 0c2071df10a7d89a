"""The command ``stix``: the table of commands, and the one place where errors become messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from stix.cli.lazy import Entry, LazyGroup
from stix.cli.output import message
from stix.errors import StixError

INTERRUPTED = 130
BROKEN_PIPE = 141

RUN, LOOK, STEER, SERVER = "Run", "Look", "Steer", "Server"

COMMANDS = {
    "run": Entry("stix.cli.run:run", "Run a pipeline file and follow it.", RUN),
    "plan": Entry("stix.cli.plan:plan", "Show where each stage would run, and for how much.", RUN),
    "rehearse": Entry(
        "stix.cli.rehearse:rehearse", "Rehearse a pipeline on simulated clouds.", RUN
    ),
    "validate": Entry("stix.cli.validate:validate", "Check files without running them.", RUN),
    "schema": Entry("stix.cli.schema:schema", "The JSON Schema of files, for editors.", RUN),
    "runs": Entry("stix.cli.runs:runs", "List runs, or show one.", LOOK),
    "logs": Entry("stix.cli.logs:logs", "Print or follow the output of a stage.", LOOK),
    "why": Entry("stix.cli.control:why", "Why a stage ran or was skipped.", LOOK),
    "artifacts": Entry("stix.cli.artifacts:artifacts", "List and fetch outputs.", LOOK),
    "storage": Entry("stix.cli.storage:storage", "Buckets and objects of every store.", LOOK),
    "volumes": Entry("stix.cli.volumes:volumes", "Volumes, which outlive nodes.", LOOK),
    "gpus": Entry("stix.cli.gpus:gpus", "Accelerators, where they are and what they cost.", LOOK),
    "catalog": Entry("stix.cli.catalog:catalog", "The catalog of machines and prices.", LOOK),
    "nodes": Entry("stix.cli.clouds:nodes", "List the nodes in use.", LOOK),
    "resources": Entry("stix.cli.estate:resources", "Everything of ours at the clouds.", LOOK),
    "status": Entry("stix.cli.status:status", "The server and the active runs.", LOOK),
    "cancel": Entry("stix.cli.control:cancel", "Cancel a run.", STEER),
    "resume": Entry("stix.cli.control:resume", "Run again what did not succeed.", STEER),
    "chaos": Entry("stix.cli.clouds:chaos", "Hurt a node on purpose, to watch recovery.", STEER),
    "sweep": Entry("stix.cli.estate:sweep", "Remove what nobody owns at the clouds.", STEER),
    "server": Entry("stix.cli.server:server", "Start, stop and look at the local server.", SERVER),
    "check": Entry("stix.cli.clouds:check", "Which clouds can be used.", SERVER),
    "version": Entry("stix.cli.status:version", "Print the version.", SERVER),
}


@click.group(
    cls=LazyGroup, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
def cli() -> None:
    """Pipelines on the cheapest compute, one file per pipeline.

    \b
    stix run FILE        run it and follow it
    stix runs            what ran
    stix logs latest     what it printed
    """


def main() -> None:
    """Entry point of the command ``stix``."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command line; gives the exit code and never raises."""
    try:
        result = cli.main(args=list(arguments), prog_name="stix", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        return _usage(error)
    except StixError as error:
        return _known(error)
    except (KeyboardInterrupt, click.Abort):
        message("")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left.  Python flushes again at exit: give it somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  the process boundary: a person reads this
        return _unexpected(error)


def _usage(error: click.ClickException) -> int:
    message(f"error: {error.format_message()}")
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "stix COMMAND"
    message(f"  fix: see `{command} --help`")
    return error.exit_code


def _known(error: StixError) -> int:
    _debug()
    # A file's problems each say where they are, and that they are errors.
    message(str(error) if hasattr(error, "problems") else f"error: {error}")
    return error.exit_code


def _unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and error.filename is not None:
        message(f"error: {error.filename}: {error.strerror}")
        return 1
    if os.environ.get("STIX_DEBUG"):
        _debug()
        return 1
    message(f"error: {type(error).__name__}: {error}")
    where = _write_debug_log()
    message(
        "  fix: this is a defect of STIX; please report it with "
        + (
            f"{where} (or the output with STIX_DEBUG=1)"
            if where
            else "the output with STIX_DEBUG=1"
        )
    )
    return 1


def _debug() -> None:
    if os.environ.get("STIX_DEBUG"):
        import traceback

        traceback.print_exc()


def _write_debug_log() -> Path | None:
    """Keep the traceback of the error being handled, if the state folder can be written."""
    import traceback

    from stix.client.local import state_folder

    try:
        path = state_folder() / "logs" / "cli-error.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return None
    return path


if __name__ == "__main__":
    main()
