"""Runs the examples of the seed documents, in which nothing but the package's name is changed."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from programs import running_program
from seed_examples import renamed
from support import Client, Server
from typhoon.httpclient import AsyncHTTPClient
from typhoon.wsgi import WSGIApplication, WSGIContainer


def served(application: Any) -> Any:
    """An application for our server: what is one for WSGI servers has to behave as one."""
    if isinstance(application, WSGIApplication):
        return WSGIContainer(validator(application))
    return application


@pytest.fixture
def example(serve: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """`example(source, name=value…)` serves the application that an example defines.

    The keyword arguments are the names that the example leaves to its reader. An example without
    an `application`, `app` or `make_app` gives only classes: then `application` in the keyword
    arguments makes the application of them.
    """

    def run(source: str, **names: Any) -> Server:
        make = names.pop("application", None)
        namespace = {"__name__": "example", "__file__": str(tmp_path / "example.py"), **names}
        exec("import typhoon.web", namespace)
        (tmp_path / "example.py").write_text(renamed(source), "utf-8")
        exec(compile(renamed(source), str(tmp_path / "example.py"), "exec"), namespace)
        for name in ("application", "app"):
            if name in namespace:
                return serve(served(namespace[name]))
        return serve(make(namespace) if make is not None else namespace["make_app"]())

    return run


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], Client]]:
    """`program(source)` starts a whole program and returns a connection to it."""
    with contextlib.ExitStack() as stack:

        def start(source: str) -> Client:
            return stack.enter_context(running_program(renamed(source), tmp_path))

        yield start


@pytest.fixture
def origin(serve: Callable[..., Server]) -> Iterator[Callable[..., Server]]:
    """`origin("www.example.com", app)` serves what the examples fetch from that host by HTTP."""
    hosts: dict[tuple[str, int], tuple[str, int]] = {}

    def start(host: str, application: Any) -> Server:
        server = serve(application)
        hosts[host, 80] = ("127.0.0.1", server.port)
        AsyncHTTPClient.configure(None, hostname_mapping=hosts)
        return server

    saved = AsyncHTTPClient._save_configuration()
    yield start
    AsyncHTTPClient._restore_configuration(saved)
