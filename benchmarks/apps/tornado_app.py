"""The workloads on Tornado: Typhoon's file with the imports changed, and nothing else."""

from pathlib import Path

source = Path(__file__).with_name("typhoon_app.py").read_text(encoding="utf-8")
exec(compile(source.replace("typhoon", "tornado"), __file__, "exec"))
