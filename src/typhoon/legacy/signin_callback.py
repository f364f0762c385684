"""The `callback` of sign-in mixins, from when there were no futures."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from typhoon.auth.errors import AuthError
from typhoon.httpclient import HTTPClientError
from typhoon.ioloop import IOLoop
from typhoon.log import gen_log

User = dict[str, Any]
Callback = Callable[[Any], object]


def start(handler: Any, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """A task that runs also if nobody awaits it; it belongs to the handler's application."""
    task = asyncio.ensure_future(coroutine)
    tasks: set[asyncio.Task[Any]] = handler.application._tasks
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


def call_when_known(
    task: "asyncio.Task[Any]", callback: Callback, failure: str = "Nobody has been signed in"
) -> None:
    """Call `callback` with the result; with None, and `failure` in the log, if there is none."""

    def answer(done: "asyncio.Task[Any]") -> None:
        if done.cancelled():
            return
        try:
            result = done.result()
        except (AuthError, HTTPClientError, OSError) as error:
            gen_log.warning("%s: %s", failure, error)
            callback(None)
        else:
            callback(result)

    IOLoop.current().add_future(task, answer)
