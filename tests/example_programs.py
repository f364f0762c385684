"""The examples, imported or started as a newcomer starts them."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from proxy import free_port
from support import TIMEOUT

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(program: str) -> ModuleType:
    """The module of an example that is one file, such as `chat/chat.py`."""
    name = "example_" + program.removesuffix(".py").replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / program)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ExampleProcess:
    """A running example, which says on which port it listens. Stopped, it can be started again."""

    def __init__(self, program: str, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}/"
        self.command = [sys.executable, str(EXAMPLES / program), f"--port={self.port}", *options]
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.communicate(timeout=TIMEOUT)
        assert line.endswith(f" is on http://localhost:{self.port}\n"), line

    def stop(self) -> str:
        """Press Ctrl-C; the program has to end by itself. Returns what it says then."""
        process, self.process = self.process, None
        if process is None:
            return ""
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
        return output
