"""The benchmark's own virtual environment, and the facts about the machine that a report needs."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = HERE / "requirements.txt"
STAMP = VENV / "installed.json"
# Where Debian keeps nginx, and rustup the compiler: off some users' PATH.
ADDED_PATH = os.pathsep.join(
    ["/usr/local/sbin", "/usr/sbin", "/sbin", str(Path.home() / ".cargo" / "bin")]
)

VERSIONS = """
import importlib.metadata, json
print(json.dumps({d.name.lower(): d.version for d in importlib.metadata.distributions()}))
"""


def prepare() -> dict[str, str]:
    """Makes the environment with this interpreter unless it is there already.

    Returns the requirements that could not be installed, each with pip's reason.
    """
    subprocess.run([HERE.parent / "tools" / "debian-packages", "nginx", "wrk"], check=True)
    os.environ["PATH"] += os.pathsep + ADDED_PATH
    requirements = [
        line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")
    ]
    wanted = json.dumps({"python": sys.version, "requirements": requirements})
    if STAMP.exists() and STAMP.read_text() == wanted:
        return {}
    print("Setting up", VENV, file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    failed = {}
    if _install(requirements):
        # One that does not install takes all others with it: find out which it is.
        failed = {one: reason for one in requirements if (reason := _install([one]))}
    if not failed:
        STAMP.write_text(wanted)
    return failed


def _install(requirements: list[str]) -> str:
    """Returns "" or the reason why pip failed."""
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines: list[str] = done.stderr.strip().splitlines()
    return lines[-1] if lines else "pip failed without a word"


def versions() -> dict[str, str]:
    """The version of all that takes part: Python distributions, the checkout, nginx, wrk, rustc."""
    found: dict[str, str] = json.loads(_output(str(PYTHON), "-c", VERSIONS))
    checkout = f"import sys; sys.path.insert(0, {str(HERE.parent / 'src')!r})"
    show = f"{checkout}; import typhoon; print(typhoon.version)"
    commit = _output("git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude", "*")
    found["typhoon"] = f"{_output(str(PYTHON), '-c', show)} ({commit or 'no commit'})"
    found["nginx"] = _output("nginx", "-v").rpartition("/")[2]
    found["wrk"] = _output("wrk", "-v").partition(" [")[0].removeprefix("wrk ")
    found["rustc"] = _output("rustc", "--version").removeprefix("rustc ").partition(" ")[0]
    return found


def machine(server_cpu: int, client_cpu: int) -> dict[str, str]:
    """What a reader has to know to compare the figures with others."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "processor": model,
        "CPUs": f"{os.cpu_count()} (server on CPU {server_cpu}, client on CPU {client_cpu})",
        "load at start": f"{load:.2f}" + (" — the machine was busy" if load > 0.5 else ""),
    }


def choose_cpus() -> tuple[int, int]:
    """The CPU for the server and the one for the client."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise SystemExit("Benchmarks need two CPUs, one for the server and one for the client.")
    return available[0], available[1]


def _output(*command: str) -> str:
    """What a command prints on either stream; "" when there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    # wrk prints its version and ends with an error
    return lines[0] if lines and (done.returncode == 0 or command[0] == "wrk") else ""
