"""The modules of the library, seen from `import typhoon`."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import typhoon

PROGRAM = """
import sys, typhoon
assert "typhoon.web" not in sys.modules
typhoon.web.RequestHandler
assert "typhoon.web" in sys.modules
"""


def test_modules_are_imported_when_they_are_used() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


def test_every_public_module_is_named() -> None:
    found = {module.name for module in pkgutil.iter_modules(typhoon.__path__)}
    private = {name for name in found if name.startswith("_")} | {
        "legacy",
        "pytest_plugin",
        "stack_context",
    }
    assert set(typhoon.__all__) == found - private
    for name in typhoon.__all__:
        assert getattr(typhoon, name).__name__ == f"typhoon.{name}"


def test_other_names_are_errors() -> None:
    with pytest.raises(AttributeError, match="module 'typhoon' has no attribute 'webb'"):
        _ = typhoon.webb
