"""Arguments of requests, from the query and from form bodies."""

import re
from typing import TYPE_CHECKING, Any, overload

from typhoon.web.errors import HTTPError, MissingArgumentError

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0e-\x1f]")

_REQUIRED: Any = object()
"""The default of arguments that have none."""


class ArgumentsMixin:
    """How a handler reads arguments.

    `strip` removes white space around values. Control characters become spaces. Values that are
    not UTF-8 raise `HTTPError` 400.
    """

    request: "HTTPServerRequest"

    @overload
    def get_argument(self, name: str, default: str, strip: bool = True) -> str: ...
    @overload
    def get_argument(self, name: str, default: None, strip: bool = True) -> str | None: ...
    @overload
    def get_argument(self, name: str, *, strip: bool = True) -> str: ...

    def get_argument(
        self, name: str, default: str | None = _REQUIRED, strip: bool = True
    ) -> str | None:
        """The last value of the name in query or body.

        Without a default, `MissingArgumentError` (400) if there is none.
        """
        return self._get_argument(name, default, self.request.arguments, strip)

    def get_arguments(self, name: str, strip: bool = True) -> list[str]:
        """All values of the name in query and body."""
        return self._get_arguments(name, self.request.arguments, strip)

    @overload
    def get_query_argument(self, name: str, default: str, strip: bool = True) -> str: ...
    @overload
    def get_query_argument(self, name: str, default: None, strip: bool = True) -> str | None: ...
    @overload
    def get_query_argument(self, name: str, *, strip: bool = True) -> str: ...

    def get_query_argument(
        self, name: str, default: str | None = _REQUIRED, strip: bool = True
    ) -> str | None:
        """`get_argument` of the query alone."""
        return self._get_argument(name, default, self.request.query_arguments, strip)

    def get_query_arguments(self, name: str, strip: bool = True) -> list[str]:
        """`get_arguments` of the query alone."""
        return self._get_arguments(name, self.request.query_arguments, strip)

    @overload
    def get_body_argument(self, name: str, default: str, strip: bool = True) -> str: ...
    @overload
    def get_body_argument(self, name: str, default: None, strip: bool = True) -> str | None: ...
    @overload
    def get_body_argument(self, name: str, *, strip: bool = True) -> str: ...

    def get_body_argument(
        self, name: str, default: str | None = _REQUIRED, strip: bool = True
    ) -> str | None:
        """`get_argument` of the body alone."""
        return self._get_argument(name, default, self.request.body_arguments, strip)

    def get_body_arguments(self, name: str, strip: bool = True) -> list[str]:
        """`get_arguments` of the body alone."""
        return self._get_arguments(name, self.request.body_arguments, strip)

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Decode an argument or a group of the URL, which `name` is None or the name of.

        Percent escapes have been decoded already. Override for other encodings than UTF-8.
        """
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise HTTPError(400, "Invalid unicode in %s: %r", name or "url", value[:40]) from None

    def _get_argument(
        self, name: str, default: str | None, source: dict[str, list[bytes]], strip: bool
    ) -> str | None:
        values = source.get(name)
        if not values:
            if default is _REQUIRED:
                raise MissingArgumentError(name)
            return default
        return self._clean(values[-1], name, strip)

    def _get_arguments(self, name: str, source: dict[str, list[bytes]], strip: bool) -> list[str]:
        if not isinstance(strip, bool):
            raise TypeError(f"strip is True or False, not {strip!r}; there is no default here")
        return [self._clean(value, name, strip) for value in source.get(name, ())]

    def _clean(self, value: bytes, name: str, strip: bool) -> str:
        text = self.decode_argument(value, name=name)
        if isinstance(text, str):  # who overrides that may leave it as bytes
            text = _CONTROL_CHARACTERS.sub(" ", text)
        return text.strip() if strip else text
