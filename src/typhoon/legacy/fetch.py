"""The callback of `AsyncHTTPClient.fetch`, from before it returned a future."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from typhoon.legacy.stack_context import wrap

if TYPE_CHECKING:
    from typhoon.httpclient.response import HTTPResponse

__all__ = ["response_callback"]


def response_callback(
    callback: Callable[["HTTPResponse"], Any],
) -> Callable[["HTTPResponse"], Any]:
    """`callback` in the contexts of its caller; it gets each response, errors included."""
    warnings.warn(
        "the callback argument of fetch is deprecated: await fetch(..., raise_error=False)",
        DeprecationWarning,
        stacklevel=3,
    )
    return wrap(callback)
