"""`RequestHandler.get_error_html`: error pages as strings, which Tornado 2.0 and earlier had."""

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typhoon.web.handler import RequestHandler


def answer_error_html(handler: "RequestHandler", status_code: int, **kwargs: Any) -> None:
    """Finish the request with the page that the handler's `get_error_html` returns.

    It is called with the status code, the keywords of `write_error` but for `exc_info`, and, if
    there was one, the `exception`, which is the current one of `sys.exc_info()` meanwhile.
    """
    cls = type(handler)
    method = cls.get_error_html  # type: ignore[attr-defined]
    code = getattr(method, "__code__", None)
    warnings.warn_explicit(
        f"{cls.__qualname__}.get_error_html is deprecated: override write_error, which writes "
        "the page with self.write or self.render",
        DeprecationWarning,
        filename=getattr(code, "co_filename", __file__),
        lineno=getattr(code, "co_firstlineno", 1),
        module=cls.__module__,
    )
    exc_info = kwargs.pop("exc_info", None)
    if exc_info is None or exc_info[1] is None:
        handler.finish(method(handler, status_code, **kwargs))
        return
    error = exc_info[1]
    trace = error.__traceback__
    try:
        raise error
    except BaseException:
        page = method(handler, status_code, exception=error, **kwargs)
    finally:
        error.__traceback__ = trace
    handler.finish(page)
