"""Runs whole programs, as their users start them, but on a free port."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support import TIMEOUT, Client

LAUNCHER = """
import runpy, sys
from typhoon.tcpserver import TCPServer

def listen(self, port, *args, **kwargs):
    listen_on(self, 0, "127.0.0.1")
    (sock,) = self._sockets.values()
    print(port, sock.getsockname()[1], flush=True)

listen_on, TCPServer.listen = TCPServer.listen, listen
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Prints the port that the program asks for, and the one that it gets."""


@contextlib.contextmanager
def running_program(source: str, folder: Path) -> Iterator[Client]:
    """Start a program that listens on port 8888, in this folder; gives a connection to it."""
    script = folder / "program.py"
    script.write_text(source, "utf-8")
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the program ended before it listened"
            asked, port = map(int, line.split())
            assert asked == 8888
            with Client(socket.create_connection(("127.0.0.1", port), TIMEOUT)) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
