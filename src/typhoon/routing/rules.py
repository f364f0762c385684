"""Rules: what requests are accepted, and where they go."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from typhoon._core import RouteTable
from typhoon.routing.matchers import Matcher, PathMatches
from typhoon.routing.patterns import literal_start
from typhoon.util import import_object


class Rule:
    """Where requests go that a matcher accepts.

    `target` is what a `RuleRouter` can give a request to (see `RuleRouter.get_target_delegate`)
    or the full dotted name of it. `target_kwargs` are passed on to the router's
    `get_target_delegate` as `target_kwargs`, and so to the constructor of a handler. `name` is for
    `ReversibleRouter.reverse_url`.
    """

    is_handler = False
    """Whether the target is a handler class; an `Application` sets it."""

    def __init__(
        self,
        matcher: Matcher,
        target: Any,
        target_kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.matcher = matcher
        self.target = import_object(target) if isinstance(target, str) else target
        self.target_kwargs = target_kwargs or {}
        self.name = name

    def reverse(self, *args: Any) -> str | None:
        """The URL that this rule accepts with `args` in place of its groups, or None."""
        return self.matcher.reverse(*args)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.matcher!r}, {self.target}, "
            f"kwargs={self.target_kwargs!r}, name={self.name!r})"
        )


class URLSpec(Rule):
    """Maps a URL pattern to a handler class; what the tuples of an `Application` become.

    `pattern` is a regular expression for the whole path. Its groups become the arguments of the
    handler's methods: by keyword if they are named, by position otherwise; a pattern cannot have
    both kinds. `handler` is a `RequestHandler` subclass or its full dotted name, `kwargs` are for
    its `initialize`, and `name` is for `Application.reverse_url`.
    """

    def __init__(
        self,
        pattern: str | re.Pattern[str],
        handler: Any,
        kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        matcher = PathMatches(pattern)
        super().__init__(matcher, handler, kwargs, name)
        self.regex = matcher.regex
        if len(self.regex.groupindex) not in (0, self.regex.groups):
            raise ValueError(
                f"groups in url regexes must either be all named or all positional: "
                f"{self.regex.pattern!r}"
            )
        self.handler_class = self.target
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.regex.pattern!r}, {self.handler_class}, "
            f"kwargs={self.kwargs!r}, name={self.name!r})"
        )


_RuleList = Sequence[Rule | list[Any] | tuple[Any, ...]]
"""Rules, or the arguments of `Rule`: what routers and applications are made of."""


class Rules(list[Rule]):
    """The rules of a router, with the table of which can match a path.

    The table is made when it is first needed, and anew after any change: programs insert into
    `RuleRouter.rules`.
    """

    __slots__ = ("table",)

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        super().__init__(rules)
        self.table: RouteTable | None = None

    def make_table(self) -> RouteTable:
        """Read the rules as they are now; the table's indices are theirs."""
        patterns = [_pattern_of(rule.matcher) for rule in self]
        self.table = RouteTable(
            [("", False) if pattern is None else literal_start(pattern) for pattern in patterns],
            [
                (rule, pattern, rule.matcher.match)
                for rule, pattern in zip(self, patterns, strict=True)
            ],
        )
        return self.table


def _pattern_of(matcher: Matcher) -> re.Pattern[str] | None:
    """The pattern that a path has to match, if that is all there is to it."""
    if isinstance(matcher, PathMatches) and type(matcher).match is PathMatches.match:
        return matcher.regex
    return None


def _changing(change: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(change)
    def method(self: Rules, *args: Any, **kwargs: Any) -> Any:
        self.table = None
        return change(self, *args, **kwargs)

    return method


for _name in (
    *("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"),
    *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
):
    setattr(Rules, _name, _changing(getattr(list, _name)))
