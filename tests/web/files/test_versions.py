"""The URLs of static files and their versions."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pytest

from static_files import ETAG, TEXT
from typhoon.web import HTTPError, StaticFileHandler


def test_make_static_url(root: Path) -> None:
    settings = {"static_path": str(root)}
    version = ETAG[1:-1]
    make = StaticFileHandler.make_static_url
    assert make(settings, "robots.txt") == f"/static/robots.txt?v={version}"
    assert make(settings, "robots.txt", include_version=False) == "/static/robots.txt"
    settings["static_url_prefix"] = "/files/"
    assert make(settings, "robots.txt") == f"/files/robots.txt?v={version}"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "Could not open static file"),
        ("dir", "it is not a file"),
        ("fifo", "it is not a file"),
        ("zero", "it is not a file"),
        ("link", "it is not in root static directory"),
        ("large", "it is larger than 26 bytes"),
        ("nul\0", "Could not open static file"),
    ],
)
def test_no_version(root: Path, caplog: pytest.LogCaptureFixture, path: str, message: str) -> None:
    class Handler(StaticFileHandler):
        MAX_VERSION_CONTENT_SIZE = len(TEXT)

    os.mkfifo(root / "fifo")
    os.symlink("/dev/zero", root / "zero")
    os.symlink(root.parent / "outside" / "secret", root / "link")
    (root / "large").write_bytes(TEXT + b"x")
    settings = {"static_path": str(root)}
    assert Handler.get_version(settings, path) is None
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("typhoon.general", logging.ERROR)
    assert message in record.getMessage()
    assert Handler.make_static_url(settings, path) == f"/static/{path}"


def test_no_version_outside(root: Path) -> None:
    with pytest.raises(HTTPError) as caught:
        StaticFileHandler.get_version({"static_path": str(root)}, "../outside/secret")
    assert caught.value.status_code == 403


def test_the_version_of_an_allowed_link(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "outside" / "secret")
    arguments = {"allowed_symlink_directory": str(root.parent)}
    settings = {"static_path": str(root), "static_handler_args": arguments}
    version = StaticFileHandler.get_version(settings, "link")
    assert version == hashlib.sha512(b"secret").hexdigest()


def test_versions_are_kept_until_the_limit_or_a_change(root: Path) -> None:
    reads: list[str] = []

    class Handler(StaticFileHandler):
        MAX_CACHED_VERSIONS = 2

        @classmethod
        def get_content_version(cls, abspath: str) -> str:
            reads.append(os.path.basename(abspath))
            return super().get_content_version(abspath)

    settings = {"static_path": str(root)}
    for name in "abc":
        (root / name).write_text(name)
    for name in "abacab":
        assert Handler.get_version(settings, name) == hashlib.sha512(name.encode()).hexdigest()
    assert reads == ["a", "b", "c", "b"]
    Handler.reset()
    Handler.get_version(settings, "a")
    assert reads.pop() == "a"
    (root / "a").write_text("new")
    assert Handler.get_version(settings, "a") == hashlib.sha512(b"new").hexdigest()
    Handler.get_version(settings, "a")
    assert reads == ["a", "b", "c", "b", "a"]
