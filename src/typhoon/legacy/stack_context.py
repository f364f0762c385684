"""Contexts that follow a callback: see `typhoon.stack_context`."""

import contextlib
import contextvars
import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "ExceptionStackContext",
    "NullContext",
    "StackContext",
    "StackContextInconsistentError",
    "handle_exception",
    "run_with_stack_context",
    "wrap",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class StackContextInconsistentError(Exception):
    """A stack context was left in another context than it was entered in."""


class _Entered:
    """Something that stands among the active contexts while a ``with`` block lasts."""

    _token: contextvars.Token[tuple[Any, ...]] | None = None

    def __init__(self) -> None:
        self._active = True

    def _push(self, contexts: "tuple[_Context, ...]") -> None:
        self._token = _contexts.set(contexts)

    def _pop(self) -> None:
        token, self._token = self._token, None
        try:
            if token is not None:
                _contexts.reset(token)
        except ValueError:
            raise StackContextInconsistentError(
                f"{self!r} was left elsewhere than it was entered: there must be no yield or "
                "await in its with block (see run_with_stack_context)"
            ) from None

    def _deactivate(self) -> None:
        self._active = False


class StackContext(_Entered):
    """Has callbacks that are made in a ``with`` block run in a context manager of the same kind.

    Args:
        context_factory: A function that makes the context manager: it is called for the block,
            and again for each call of a function that `wrap` was given in the block.

    The block's variable is a function that ends this for callbacks which have not run yet.
    """

    def __init__(
        self, context_factory: Callable[[], contextlib.AbstractContextManager[Any]]
    ) -> None:
        super().__init__()
        self.context_factory = context_factory

    def __enter__(self) -> Callable[[], None]:
        self._context = self.context_factory()
        self._context.__enter__()
        self._push((*_contexts.get(), self))
        return self._deactivate

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        try:
            self._pop()
        finally:
            handled = self._context.__exit__(typ, value, tb)
        return handled


class ExceptionStackContext(_Entered):
    """Gives exceptions in a ``with`` block, and in callbacks made there, to a function.

    Args:
        exception_handler: Called with the type, the value and the traceback of an exception. It
            returns True if that is done with; otherwise the exception goes on.

    The block's variable is a function that ends this for callbacks which have not run yet.
    """

    def __init__(self, exception_handler: Callable[..., Any]) -> None:
        super().__init__()
        self.exception_handler = exception_handler

    def __enter__(self) -> Callable[[], None]:
        self._push((*_contexts.get(), self))
        return self._deactivate

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        self._pop()
        return self._handle(typ, value, tb)

    def _handle(self, *exc_info: Any) -> bool:
        return exc_info[0] is not None and bool(self.exception_handler(*exc_info))


class NullContext(_Entered):
    """Has callbacks that are made in a ``with`` block run in none of the contexts around it."""

    def __enter__(self) -> None:
        self._push(())

    def __exit__(self, *exc_info: object) -> None:
        self._pop()


_Context = StackContext | ExceptionStackContext

_contexts: contextvars.ContextVar[tuple[_Context, ...]] = contextvars.ContextVar(
    "stack_contexts", default=()
)


def wrap(fn: Callable[_P, _T]) -> Callable[_P, _T | None]:
    """A function that calls `fn` in the stack contexts that are active now; None for None."""
    if fn is None or hasattr(fn, "_stack_contexts"):
        return fn
    contexts = _contexts.get()

    @functools.wraps(fn)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        token = _contexts.set(contexts)
        try:
            with contextlib.ExitStack() as stack:
                for context in contexts:
                    if not context._active:
                        continue
                    if isinstance(context, StackContext):
                        stack.enter_context(context.context_factory())
                    else:
                        stack.push(context._handle)
                return fn(*args, **kwargs)
            return None  # an exception was handled
        finally:
            _contexts.reset(token)

    wrapped._stack_contexts = contexts  # type: ignore[attr-defined]
    return wrapped


def run_with_stack_context(
    context: StackContext | ExceptionStackContext, func: Callable[[], _T]
) -> _T:
    """Call `func`, mostly a coroutine function, in a stack context.

    .. code-block:: python

        yield run_with_stack_context(StackContext(context_factory), coroutine)
    """
    with context:
        return func()


def handle_exception(error: BaseException) -> bool:
    """Give an exception to the `ExceptionStackContext` handlers around, from the inside out.

    Returns whether one of them is done with it.
    """
    return any(
        isinstance(context, ExceptionStackContext)
        and context._active
        and context._handle(type(error), error, error.__traceback__)
        for context in reversed(_contexts.get())
    )
