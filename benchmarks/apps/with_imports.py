"""Runs a program of Typhoon's with its imports changed: `OLD=NEW PROGRAM ARGUMENTS`."""

import sys
from pathlib import Path

old, _, new = sys.argv[1].partition("=")
del sys.argv[:2]
path = Path(__file__).parent / sys.argv[0]
sys.path[0] = str(path.parent)
source = path.read_text(encoding="utf-8").replace(f"from {old}", f"from {new}")
exec(compile(source, path, "exec"), {"__name__": "__main__"})
