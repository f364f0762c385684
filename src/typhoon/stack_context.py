"""Contexts that follow a callback, of the time before `contextvars`. Deprecated.

`StackContext` runs callbacks in a context manager, `ExceptionStackContext` hands their exceptions
to a function. This works for functions that `wrap` was given, and for those decorated with
`gen.engine`. The event loop does not wrap what it is given: new code has `contextvars` for values
that follow a callback, and coroutines for exceptions.
"""

import warnings

from typhoon.legacy.stack_context import (
    ExceptionStackContext,
    NullContext,
    StackContext,
    StackContextInconsistentError,
    run_with_stack_context,
    wrap,
)

__all__ = [
    "ExceptionStackContext",
    "NullContext",
    "StackContext",
    "StackContextInconsistentError",
    "run_with_stack_context",
    "wrap",
]

warnings.warn(
    "typhoon.stack_context is deprecated: use contextvars for values that follow a callback, "
    "and coroutines for exceptions",
    DeprecationWarning,
    stacklevel=2,
)
