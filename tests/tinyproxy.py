"""A real forward proxy: tinyproxy."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import free_port
from support import TIMEOUT

TINYPROXY = shutil.which("tinyproxy", path="/usr/bin:/usr/local/bin")

needs_tinyproxy = pytest.mark.skipif(
    TINYPROXY is None, reason="tinyproxy is missing: apt-get install tinyproxy"
)


@contextlib.contextmanager
def running_tinyproxy(folder: Path, *lines: str) -> Iterator[int]:
    """Run tinyproxy with these lines in its configuration; gives its port, on 127.0.0.1."""
    assert TINYPROXY is not None
    port = free_port()
    file = folder / "tinyproxy.conf"
    own = (f"Port {port}", "Listen 127.0.0.1", "MaxClients 100", "Timeout 60", "LogLevel Error")
    file.write_text("\n".join((*own, f'LogFile "{folder}/tinyproxy.log"', *lines)) + "\n")
    process = subprocess.Popen([TINYPROXY, "-d", "-c", str(file)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + TIMEOUT
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
                break
            assert process.poll() is None, "tinyproxy ended"
            assert time.monotonic() < deadline, "tinyproxy does not listen"
            time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait(TIMEOUT)
