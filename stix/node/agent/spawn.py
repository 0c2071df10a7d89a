"""Start a job's process: own session, clean signals, dies with the agent."""

from __future__ import annotations

import os
import signal

from . import processes

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Mapping

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_STARTED = 126
RESET = [
    getattr(signal, name)
    for name in "SIGPIPE SIGXFSZ SIGHUP SIGINT SIGTERM SIGCHLD SIGQUIT".split()
    if hasattr(signal, name)
]


def base_environment(node_id: str, directory: str) -> dict[str, str]:
    """The environment of every job, before what the caller gives."""
    import pwd

    try:
        user = pwd.getpwuid(os.getuid())
        name, home, shell = user.pw_name, user.pw_dir, user.pw_shell
    except KeyError:  # a container's user without an entry
        name, home, shell = str(os.getuid()), "/", "/bin/sh"
    own = os.environ
    return {
        "PATH": own.get("PATH") or DEFAULT_PATH,
        "HOME": own.get("HOME") or home,
        "LANG": own.get("LANG") or "C.UTF-8",
        "USER": name,
        "LOGNAME": name,
        "SHELL": shell or "/bin/sh",
        "TMPDIR": os.path.join(directory, "tmp"),
        "STIX_NODE_ID": node_id,
    }


def shell() -> str:
    """bash where there is one, since scripts are written for it."""
    for path in ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"):
        if os.access(path, os.X_OK):
            return path
    for folder in (os.environ.get("PATH") or DEFAULT_PATH).split(":"):
        if os.access(os.path.join(folder, "bash"), os.X_OK):
            return os.path.join(folder, "bash")
    return "/bin/sh"


def spawn(argv: list[str], cwd: str, env: Mapping[str, str], output: int) -> int:
    """Fork and execute; standard output and error go to ``output``.  Gives the process id.

    ``subprocess`` would cost 2.5 ms of import and has no cheap way to set the parent's death
    signal; the agent has one thread, so that a plain fork is safe.
    """
    parent = os.getpid()
    # Blocked signals wait until the child can act on them, and never reach our own handlers there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, RESET)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in RESET:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        processes.die_with_parent(parent)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(cwd)
        os.execve(argv[0], argv, env)
    except OSError as error:
        os.write(2, "stix: cannot start {}: {}\n".format(argv[0], error).encode())
    finally:
        os._exit(NOT_STARTED)
