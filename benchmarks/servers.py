"""The servers under test: how each is started, which workloads it has, and what memory it takes."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
APPS = HERE / "apps"
CERTIFICATE = HERE.parent / "src" / "typhoon" / "testing" / "localhost.crt"
START_LIMIT = 20.0
STOP_LIMIT = 5.0

NO_ROUTER = ("routes", "upload", "static4k", "static10m")
NO_TEMPLATES = ("template",)


class ServerError(Exception):
    """A server did not start or did not stay alive; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """What to measure. `command` follows the interpreter's path and may hold {port}, {files}.

    `missing` names the workloads that it has no facility for; `packages` the distributions whose
    versions the report gives.
    """

    name: str
    command: tuple[str, ...]
    packages: tuple[str, ...]
    missing: tuple[str, ...] = ()
    is_python: bool = True


def _uvicorn(app: str) -> tuple[str, ...]:
    options = "--loop uvloop --http httptools --no-access-log --log-level warning"
    keep_alive = "--lifespan off --timeout-keep-alive 300"
    return ("-m", "uvicorn", app, "--port", "{port}", *options.split(), *keep_alive.split())


def _granian(app: str, interface: str, *options: str) -> tuple[str, ...]:
    # It takes no more connections at once than its backlog: 1024 by default.
    common = (
        "--backlog 16384 --workers 1 --runtime-threads 1 --loop uvloop --http 1 --no-access-log"
    )
    listen = ("--port", "{port}", "--interface", interface, "--log-level", "warning")
    return ("-m", "granian", app, *listen, *common.split(), *options)


SERVERS = [
    Server("typhoon", ("typhoon_app.py",), ("typhoon", "uvloop")),
    Server("tornado", ("tornado_app.py",), ("tornado", "uvloop")),
    Server("aiohttp", ("aiohttp_app.py",), ("aiohttp", "uvloop", "orjson", "mako")),
    Server(
        "uvicorn (bare ASGI)",
        _uvicorn("asgi_app:app"),
        ("uvicorn", "httptools", "uvloop", "minijinja"),
        missing=NO_ROUTER,
    ),
    Server(
        "starlette on uvicorn", _uvicorn("starlette_app:app"), ("starlette", "uvicorn", "jinja2")
    ),
    Server(
        "falcon on uvicorn",
        _uvicorn("falcon_app:app"),
        ("falcon", "uvicorn"),
        missing=NO_TEMPLATES,
    ),
    Server(
        "granian (bare ASGI)",
        _granian(
            "asgi_app:app",
            "asginl",
            *("--static-path-route", "/files", "--static-path-mount", "{files}"),
        ),
        ("granian", "uvloop", "minijinja"),
        missing=("routes", "upload"),
    ),
    Server(
        "blacksheep on granian",
        _granian("blacksheep_app:app", "asgi"),
        ("blacksheep",),
        missing=NO_TEMPLATES,
    ),
    Server("sanic", ("sanic_app.py",), ("sanic", "httptools", "uvloop"), missing=NO_TEMPLATES),
    Server("socketify", ("socketify_app.py",), ("socketify",), missing=("upload", *NO_TEMPLATES)),
    Server(
        "nginx",
        ("nginx", "-c", "{nginx.conf}", "-p", "{scratch}"),
        (),
        missing=("echo", "routes", "async", "form", "upload", *NO_TEMPLATES),
        is_python=False,
    ),
]


class Process:
    """A started server, pinned to one CPU, answering on 127.0.0.1:`port`.

    nginx also answers on `tls_port`.
    """

    def __init__(self, server: Server, python: Path, cpu: int, scratch: Path, files: Path) -> None:
        self.server = server
        self.port = _free_port()
        self.tls_port = 0 if server.is_python else _free_port()
        self._log_path = scratch / f"{server.name.replace(' ', '-')}.log"
        places = {
            "{port}": str(self.port),
            "{files}": str(files),
            "{scratch}": str(scratch),
            "{nginx.conf}": str(scratch / "nginx.conf"),
        }
        if not server.is_python:
            _write_nginx_conf(scratch / "nginx.conf", self.port, self.tls_port, files)
        arguments = [places.get(argument, argument) for argument in server.command]
        command = [str(python), *arguments] if server.is_python else arguments
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", str(cpu), *command],
                cwd=APPS,
                env=environment_of(PORT=str(self.port), FILES=str(files)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def why_dead(self) -> str:
        """The last line of its log that speaks of an error, or else the last one."""
        lines = self.output.strip().splitlines()
        errors = [line for line in lines if "rror" in line]
        return (errors or lines or ["no output"])[-1].strip()[:200]

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self._log_path.read_text(errors="replace")

    def cpu_seconds(self) -> float:
        """User and system time of the server's processes so far, added up."""
        ticks = 0
        for pid in _tree(self._process.pid):
            try:
                # The name, in parentheses, may hold spaces; the times are fields 14 and 15.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """The resident sets of the server's processes, added up."""
        page = os.sysconf("SC_PAGE_SIZE")
        total = 0
        for pid in _tree(self._process.pid):
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended between the two looks
        return total

    def stop(self) -> None:
        """Ends the whole process group: politely, then not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(STOP_LIMIT)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if not self.is_alive:
                raise ServerError(f"ended at start: {self.why_dead()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise ServerError(f"did not listen within {START_LIMIT:.0f} s: {self.why_dead()}")


def environment_of(**more: str) -> dict[str, str]:
    """The environment variables of a program under test."""
    return {
        **os.environ,
        **more,
        # Typhoon runs from the checkout, everything else from the environment of its own.
        "PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(APPS)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _tree(pid: int) -> list[int]:
    """`pid` and all processes under it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = " ".join((task / "children").read_text() for task in tasks)
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(below for child in children.split() for below in _tree(int(child)))]


def _write_nginx_conf(path: Path, port: int, tls_port: int, files: Path) -> None:
    text = (APPS / "nginx.conf").read_text()
    places = {
        "@PORT@": str(port),
        "@TLS_PORT@": str(tls_port),
        "@CERTIFICATE@": str(CERTIFICATE),
        "@KEY@": str(CERTIFICATE.with_suffix(".key")),
        "@FILES@": str(files),
    }
    for place, value in places.items():
        text = text.replace(place, value)
    path.write_text(text)
