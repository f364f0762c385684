"""An event loop policy: asyncio deprecates all policies (Python 3.14) and drops them (3.16)."""

import asyncio
import functools
import warnings
from typing import Any

__all__ = ["any_thread_event_loop_policy"]


def any_thread_event_loop_policy() -> type[Any]:
    """The class `AnyThreadEventLoopPolicy`, with a warning.

    Raises:
        AttributeError: This Python has no event loop policies.
    """
    warnings.warn(
        "AnyThreadEventLoopPolicy is deprecated:"
        " use asyncio.run, or asyncio.new_event_loop, in the threads that need a loop",
        DeprecationWarning,
        stacklevel=3,
    )
    return _policy_class()


@functools.cache
def _policy_class() -> type[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.14 on
        base: Any = getattr(asyncio, "DefaultEventLoopPolicy", None)
    if base is None:
        raise AttributeError("AnyThreadEventLoopPolicy: this Python has no event loop policies")

    class AnyThreadEventLoopPolicy(base):  # type: ignore[misc]
        """Lets `asyncio.get_event_loop` make a loop in every thread, not in the main one alone.

        .. code-block:: python

            asyncio.set_event_loop_policy(AnyThreadEventLoopPolicy())
        """

        def get_event_loop(self) -> asyncio.AbstractEventLoop:
            """The current loop of the thread; a new one if there is none."""
            try:
                loop: asyncio.AbstractEventLoop = super().get_event_loop()
            except RuntimeError:
                loop = self.new_event_loop()
                self.set_event_loop(loop)
            return loop

    AnyThreadEventLoopPolicy.__module__ = "typhoon.platform.asyncio"
    AnyThreadEventLoopPolicy.__qualname__ = "AnyThreadEventLoopPolicy"
    return AnyThreadEventLoopPolicy
