"""`typhoon.web.asynchronous`: methods that leave it to callbacks to finish the request."""

import functools
import warnings
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typhoon.legacy.stack_context import ExceptionStackContext

if TYPE_CHECKING:
    from typhoon.web.handler import RequestHandler

__all__ = ["asynchronous"]

Method = Callable[..., Awaitable[None] | None]


def asynchronous(method: Method) -> Method:
    """Decorator: keep the request open when the method returns, until `finish` is called.

    Exceptions in callbacks that the method leads to become the response, as those in the method
    itself. Write an ``async def`` method instead, and await what the callbacks waited for.
    """
    warnings.warn(
        "web.asynchronous is deprecated: make the method an async def, and await",
        DeprecationWarning,
        stacklevel=2,
    )

    @functools.wraps(method)
    def wrapper(self: "RequestHandler", *args: Any, **kwargs: Any) -> Awaitable[None] | None:
        def answer(
            kind: type[BaseException], error: BaseException, traceback: TracebackType | None
        ) -> bool:
            if not isinstance(error, Exception):
                return False
            self._handle_request_exception(error)
            return True

        self._auto_finish = False
        result = None
        with ExceptionStackContext(answer):
            result = method(self, *args, **kwargs)
        # A coroutine finishes the request when it ends.
        self._auto_finish = result is not None
        return result

    return wrapper
