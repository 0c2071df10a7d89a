"""``python -m stix.server``: the supervisor."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from stix.config import Config
from stix.errors import StixError
from stix.logging import setup
from stix.server.supervisor import Options, Supervisor


def main() -> int:
    """Run until SIGTERM, SIGINT or idle; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stix.server", description=__doc__)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--foreground", action="store_true", help="log to the terminal")
    group.add_argument("--auto", action="store_true", help="stop when idle")
    arguments = parser.parse_args()
    try:
        config = Config.load()
        config.create()
        if not arguments.foreground:
            _log_to_file(config)
        setup(logging.INFO)
        asyncio.run(Supervisor(config, Options(auto=arguments.auto)).run())
    except StixError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except OSError as error:  # a full disk, a home that we may not write to
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _log_to_file(config: Config) -> None:
    """The terminal may go away under a server that goes on."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    target = os.open(config.server_logs / "supervisor.log", flags, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


if __name__ == "__main__":
    sys.exit(main())
