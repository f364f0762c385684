"""Several processes: workers that share listening sockets, and programs that are run.

- `fork_processes` starts workers, each of which begins where the call returns; the parent
  supervises them.
- `Subprocess` runs a program, whose pipes are streams and whose exit can be awaited.
"""

from typhoon.process.forking import cpu_count, fork_processes, task_id
from typhoon.process.subprocess import CalledProcessError, Subprocess

__all__ = ["CalledProcessError", "Subprocess", "cpu_count", "fork_processes", "task_id"]
