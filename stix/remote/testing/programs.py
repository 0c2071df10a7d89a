"""Programs that the suite runs on the node; they need a Python there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stix.remote.base import Runner

_ECHO = """
import os, socket, sys, threading
path = sys.argv[1]
def echo(c):
    while True:
        data = c.recv(65536)
        if not data:
            break
        c.sendall(data)
    c.close()
def serve(s):
    s.listen(50)
    while True:
        threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()
"""
UNIX_ECHO = (
    _ECHO
    + """
s = socket.socket(socket.AF_UNIX)
s.bind(path + ".new")
os.rename(path + ".new", path)
s.listen(50)
serve(s)
"""
)
TCP_ECHO = (
    _ECHO
    + """
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(50)
with open(path + ".new", "w") as f:
    f.write(str(s.getsockname()[1]))
os.rename(path + ".new", path)
serve(s)
"""
)


@asynccontextmanager
async def listening(runner: Runner, program: str, sign: str) -> AsyncIterator[None]:
    """Run a program on the node while the block runs; it is ready when ``sign`` exists."""
    task = asyncio.create_task(runner.run(["python3", "-c", program, sign]))
    try:
        while (await runner.run(["test", "-e", sign])).exit_code:
            if task.done():
                raise AssertionError((await task).stderr.decode())
            await asyncio.sleep(0.05)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
