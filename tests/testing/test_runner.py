"""The test runner: ``python -m typhoon.testing``, and main() in a program."""

import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import logging
import unittest
from typhoon.testing import AsyncTestCase, gen_test, main

class Case(AsyncTestCase):
    @gen_test
    async def test_passes(self):
        logging.info("logged")

    def test_fails(self):
        secret = "local value"
        print("printed")
        self.fail()

def all():
    return unittest.defaultTestLoader.loadTestsFromName("Case.test_passes", __import__(__name__))

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.py"
    file.write_text(CASES)
    return file


def run(cases: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=cases.parent, capture_output=True, text=True, timeout=30)


def test_runs_what_it_is_told(cases: Path) -> None:
    result = run(cases, "-m", "typhoon.testing", "cases.Case.test_passes")
    assert result.returncode == 0, result.stderr
    assert "Ran 1 test" in result.stderr
    result = run(cases, "-m", "typhoon.testing", "cases")
    assert result.returncode == 1
    assert "FAILED (failures=1)" in result.stderr


def test_a_program_runs_all_unless_it_is_told(cases: Path) -> None:
    result = run(cases, "cases.py")
    assert result.returncode == 0, result.stderr
    assert "Ran 1 test" in result.stderr
    assert run(cases, "cases.py", "cases.Case.test_fails").returncode == 1


def test_options(cases: Path) -> None:
    module = ("-m", "typhoon.testing")
    result = run(cases, *module, "--verbose", "--logging=info", "cases.Case.test_passes")
    assert "test_passes (cases.Case.test_passes) ... " in result.stderr
    assert "logged" in result.stderr
    result = run(cases, *module, "--quiet", "cases.Case.test_passes")
    assert "." not in result.stderr.splitlines()
    result = run(cases, *module, "--failfast", "--locals", "--buffer", "cases")
    assert "local value" in result.stderr
    assert "Ran 1 test" in result.stderr
    assert "Stdout:\nprinted" in result.stderr
    result = run(cases, *module, "--colour=red", "cases")
    assert result.returncode != 0
    assert "colour" in result.stderr
