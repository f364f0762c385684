"""What decides whether a rule accepts a request."""

import re
from typing import Any

from typhoon import httputil
from typhoon._core import match_path
from typhoon.escape import url_escape, utf8
from typhoon.routing.patterns import format_string


class Matcher:
    """Decides whether a rule accepts a request."""

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        """What is to be passed on to the target, or None if the request is not accepted.

        The usual keys are `path_args` (a list) and `path_kwargs` (a dict): what the method of a
        handler is called with. An empty dict accepts without passing anything on.
        """
        raise NotImplementedError

    def reverse(self, *args: Any) -> str | None:
        """The URL that is accepted with `args` in place of the groups; None if there is none."""
        return None


class AnyMatches(Matcher):
    """Accepts every request."""

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        return {}


class HostMatches(Matcher):
    """Accepts requests whose host, in lower case and without its port, matches a pattern.

    All of the host has to match if the pattern is a string: it gets a `$` at its end.
    """

    def __init__(self, host_pattern: str | re.Pattern[str]) -> None:
        self.host_pattern = _whole(host_pattern)

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        return {} if self.host_pattern.match(request.host_name) else None


class DefaultHostMatches(Matcher):
    """Accepts requests if the `default_host` of the application matches a pattern.

    Never one with an `X-Real-Ip` header: it came through a proxy, which knows the host.
    """

    def __init__(self, application: Any, host_pattern: re.Pattern[str]) -> None:
        self.application = application
        self.host_pattern = host_pattern

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        if "X-Real-Ip" in request.headers:
            return None
        return {} if self.host_pattern.match(self.application.default_host or "") else None


class PathMatches(Matcher):
    """Accepts requests whose path matches a pattern, and passes on what its groups matched.

    All of the path has to match if the pattern is a string: it gets a `$` at its end. Percent
    escapes in the path are decoded after the match, so groups are bytes; a group that took no
    part is None. With any named groups only those are passed on, by name (`path_kwargs`), else
    all by position (`path_args`).
    """

    def __init__(self, path_pattern: str | re.Pattern[str]) -> None:
        self.regex = _whole(path_pattern)
        self._by_name = bool(self.regex.groupindex)
        self._path, self._group_count = self._find_groups()

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        return match_path(self.regex, request.path, self._by_name)

    def reverse(self, *args: Any) -> str | None:
        """The path with `args` in place of the groups, percent-encoded.

        `ValueError` if there are not as many groups, or if the pattern holds more than literal
        text between them, so that no path can be told.
        """
        if self._path is None:
            raise ValueError(f"Cannot reverse url regex {self.regex.pattern}")
        if len(args) != self._group_count:
            raise ValueError(
                f"{self.regex.pattern} is reversed with {self._group_count} arguments, "
                f"not {len(args)}"
            )
        texts = (arg if isinstance(arg, str | bytes) else str(arg) for arg in args)
        return self._path % tuple(url_escape(utf8(text), plus=False) for text in texts)

    def _find_groups(self) -> tuple[str | None, int | None]:
        """The path as a format string and the number of groups; both None if it has no such."""
        return format_string(self.regex) or (None, None)


def _whole(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    if isinstance(pattern, str):
        return re.compile(pattern if pattern.endswith("$") else pattern + "$")
    return pattern
