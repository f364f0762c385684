"""A real nginx in front of the servers under test."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import TIMEOUT, Client

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is missing: apt-get install nginx")

_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


# Below the ports that Linux gives to clients: none of those can come between. Each of the processes
# that tests run in has its own, and they begin elsewhere each time, as other runs may be under way.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.count(os.getpid() * 7 % 1000)


def free_port() -> int:
    """A port that nobody listens on, for a program that has to be told one."""
    while True:
        port = 10000 + _worker % 20 * 1000 + next(_ports) % 1000
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("", port))
            except OSError:
                continue
        return port


def wrapped(servers: str) -> str:
    """Upstreams and servers as a whole configuration."""
    return f"user nginx;\npid /var/run/nginx.pid;\nevents {{}}\nhttp {{\n{servers}\n}}\n"


@contextlib.contextmanager
def running_nginx(
    configuration: str, folder: Path, servers: dict[int, int]
) -> Iterator[Callable[[], Client]]:
    """Run nginx with a document's configuration; gives a function that connects to it.

    Only what belongs to the machine is replaced: the user, the folders (by those below `folder`),
    the port 80, and the ports of the servers behind it, from `servers`.
    """
    port = free_port()
    assert NGINX is not None
    text = configuration.replace("user nginx;", f"user {getpass.getuser()};")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    text = re.sub("/var(?=/)", str(folder), text)
    # What nginx before 1.0 called false it calls off.
    text = text.replace("proxy_redirect false;", "proxy_redirect off;")
    for documented, real in servers.items():
        text = re.sub(rf"127\.0\.0\.1:{documented}(?=[; ])", f"127.0.0.1:{real}", text)
    own = "".join(f"{name}_temp_path {folder}/{name};\n" for name in _FOLDERS)
    if "access_log" not in text:
        own += "access_log off;\n"
    text = re.sub(r"^\s*http \{", lambda http: http[0] + "\n" + own, text, flags=re.MULTILINE)
    for needed in ("log/nginx", "run", "www"):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(text)
    command = [NGINX, "-c", str(file), "-p", str(folder), "-e", str(folder / "errors")]
    process = subprocess.Popen(
        [*command, "-g", "daemon off;"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def connect() -> Client:
        client = Client(socket.create_connection(("127.0.0.1", port), TIMEOUT))
        stack.callback(client.close)
        return client

    with contextlib.ExitStack() as stack:
        stack.callback(process.communicate, timeout=TIMEOUT)
        stack.callback(process.terminate)
        wait_until_listening(process, port, folder)
        yield connect


def wait_until_listening(process: subprocess.Popen[str], port: int, folder: Path) -> None:
    """Wait for a server that was started, which writes its errors into this folder."""
    for _ in range(int(TIMEOUT / 0.02)):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), TIMEOUT):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            break
    raise AssertionError(f"the server did not start: {(folder / 'errors').read_text()}")
