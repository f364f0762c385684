"""``python -m typhoon.httpclient``."""

import subprocess
import sys

import pytest

from support import Server


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "typhoon.httpclient", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_bodies_and_headers(server: Server) -> None:
    urls = server.url("/redirect?to=/big/1"), server.url("/failing")
    done = run(*urls)
    assert (done.returncode, done.stdout, done.stderr) == (0, "000000000\n\na pot\n", "")
    done = run("--print_headers", "--print_body=false", *urls)
    assert done.returncode == 0
    assert "Content-Type: application/octet-stream\n" in done.stdout
    assert "0000" not in done.stdout


def test_redirects_that_are_not_followed(server: Server) -> None:
    done = run("--follow_redirects=false", "--print_headers", server.url("/redirect?to=/big/1"))
    assert "Location: /big/1\n" in done.stdout


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/", "refused"),
        ("http://a.invalid/", "a.invalid"),
        ("ftp://x/", "Unsupported url scheme"),
        ("http://[", "IPv6"),
        ("localhost:80", "not sent"),
    ],
)
def test_urls_without_a_response(server: Server, url: str, message: str) -> None:
    """A line says why, and the others are fetched."""
    done = run(url, server.url("/big/1"))
    assert (done.returncode, done.stdout) == (1, "000000000\n\n")
    assert done.stderr.startswith(f"{url}: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_passwords_are_not_shown() -> None:
    done = run("http://me:secret@127.0.0.1:9/")
    assert done.stderr.startswith("http://***@127.0.0.1:9/: ")
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--help"),
        (["--print_nothing", "http://x/"], "--help"),
        (["--proxy_port=x", "http://x/"], "--help"),
        (["http://x/", "--print_body=false"], "--print_body=false is behind a URL"),
    ],
)
def test_arguments_that_are_wrong(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count(message) == 1
    assert done.stderr.count("\n") == 1
