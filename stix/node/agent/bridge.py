"""``bridge``: standard input and output joined to a node's socket."""

from __future__ import annotations

import os
import selectors
import socket

from .files import write_all

CHUNK = 1 << 16


def bridge(path: str) -> int:
    """Write an empty line when connected, then copy both ways; gives the exit code."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(os.path.expanduser(path))
    except OSError as error:
        os.write(2, "stix: cannot reach {}: {}\n".format(path, error).encode())
        return 4
    write_all(1, b"\n")  # the caller waits for it: the socket answered
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd == 0:
                data = os.read(0, CHUNK)
                if data:
                    sock.sendall(data)
                else:
                    selector.unregister(0)
                    sock.shutdown(socket.SHUT_WR)
                continue
            data = sock.recv(CHUNK)
            if not data:
                return 0
            write_all(1, data)
