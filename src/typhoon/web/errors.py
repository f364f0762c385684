"""Exceptions that end a request."""

import asyncio
import inspect
from typing import Any

from typhoon.httputil import responses


class HTTPError(Exception):
    """Ends the request with an error response.

    `status_code` need not be a standard one if there is a `reason` for the status line.
    `log_message` and `args` (as for `%`) go to the log, and in no case to the client.

        raise HTTPError(404)
        raise HTTPError(403, "user %s may not edit %s", user, page)
    """

    def __init__(
        self,
        status_code: int = 500,
        log_message: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.status_code = status_code
        self._log_message = log_message
        self.args = args
        self.reason: str | None = kwargs.get("reason")

    @property
    def log_message(self) -> str | None:
        """The message for the log, a `%` format for `args`."""
        if self._log_message is not None and not self.args:
            # Nothing is to be put in, so a per cent sign stands for itself.
            return self._log_message.replace("%", "%%")
        return self._log_message

    def get_message(self) -> str:
        """The message for the log with `args` put in; empty if there is none."""
        return self.log_message % self.args if self.log_message else ""

    def __str__(self) -> str:
        reason = self.reason or responses.get(self.status_code, "Unknown")
        text = f"HTTP {self.status_code}: {reason}"
        message = self.get_message()
        return f"{text} ({message})" if message else text


class Finish(Exception):
    """Ends the request without an error response; an argument is the last piece of the body.

    What the handler has set and written so far is sent as it is.
    """


class MissingArgumentError(HTTPError):
    """A required argument did not come with the request: 400."""

    def __init__(self, arg_name: str) -> None:
        super().__init__(400, f"Missing argument {arg_name}")
        self.arg_name = arg_name


def refuse_coroutine(answer: object, message: str) -> None:
    """`TypeError` if the answer to a question of security is one that nobody awaits.

    It would be true for everyone.
    """
    if inspect.iscoroutine(answer):
        answer.close()
    elif not isinstance(answer, asyncio.Future):
        return
    raise TypeError(message)
