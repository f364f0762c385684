"""Routers: what gives each request to the one that handles it."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from typhoon import httputil
from typhoon.log import app_log
from typhoon.routing.matchers import PathMatches
from typhoon.routing.rules import Rule, Rules, _RuleList


class Router(httputil.HTTPServerConnectionDelegate):
    """Gives each request to what handles it; can be the callback of an `HTTPServer`."""

    def find_handler(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate | None:
        """The delegate that handles this request, or None if this router has none for it.

        `kwargs` is what the matcher of an outer router's rule found (see `Matcher.match`).
        """
        raise NotImplementedError

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        return _RoutingDelegate(self, server_conn, request_conn)


class ReversibleRouter(Router):
    """A router whose routes can have names, from which it makes URLs."""

    def reverse_url(self, name: str, *args: Any) -> str | None:
        """The URL of the route with this name, `args` in place of the pattern's groups.

        None if no route has that name.
        """
        raise NotImplementedError


class _RoutingDelegate(httputil.HTTPMessageDelegate):
    """Finds the handler once the head of the request is there, and hands everything on to it."""

    def __init__(
        self, router: Router, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> None:
        self.router = router
        self.server_conn = server_conn
        self.request_conn = request_conn
        self.delegate: httputil.HTTPMessageDelegate | None = None

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Any:
        if not isinstance(start_line, httputil.RequestStartLine):
            raise TypeError("a router is given requests, not responses")
        request = httputil.HTTPServerRequest(
            connection=self.request_conn,
            server_connection=self.server_conn,
            start_line=start_line,
            headers=headers,
        )
        self.delegate = self.router.find_handler(request)
        if self.delegate is None:
            app_log.debug(
                "Delegate for %s %s request not found", start_line.method, start_line.path
            )
            self.delegate = _NotFoundDelegate(self.request_conn)
        return self.delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        return self.delegate and self.delegate.data_received(chunk)

    def finish(self) -> None:
        if self.delegate is not None:
            self.delegate.finish()

    def on_connection_close(self) -> None:
        if self.delegate is not None:
            self.delegate.on_connection_close()


class _NotFoundDelegate(httputil.HTTPMessageDelegate):
    """Answers 404 without a body."""

    def __init__(self, connection: httputil.HTTPConnection) -> None:
        self.connection = connection

    def finish(self) -> None:
        self.connection.write_headers(
            httputil.ResponseStartLine("HTTP/1.1", 404, "Not Found"),
            httputil.HTTPHeaders({"Content-Length": "0"}),
        )
        self.connection.finish()


class _CallableDelegate(httputil.HTTPMessageDelegate):
    """Calls a function with the request once its body is there."""

    def __init__(
        self,
        function: Callable[[httputil.HTTPServerRequest], Any],
        request: httputil.HTTPServerRequest,
    ) -> None:
        self.function = function
        self.request = request
        self.chunks: list[bytes] = []

    def data_received(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def finish(self) -> None:
        self.request.body = b"".join(self.chunks)
        self.request._parse_body()
        self.function(self.request)

    def on_connection_close(self) -> None:
        self.chunks.clear()


class RuleRouter(Router):
    """Tries rules in order; the first that accepts a request and has a delegate for it wins.

    `rules` are `Rule` instances, or tuples or lists of `Rule`'s arguments, in which a string as
    the matcher stands for `PathMatches`:

        RuleRouter([
            (PathMatches("/handler"), function),
            ("/application/.*", application),
            (HostMatches("www.example.com"), [("/nested", other_function)]),
        ])
    """

    def __init__(self, rules: _RuleList | None = None) -> None:
        self._rules = Rules()
        if rules:
            self.add_rules(rules)

    @property
    def rules(self) -> list[Rule]:
        """The rules in the order in which they are tried."""
        return self._rules

    @rules.setter
    def rules(self, rules: Iterable[Rule]) -> None:
        self._rules = Rules(rules)

    def add_rules(self, rules: _RuleList) -> None:
        """Append rules, each a `Rule` or its arguments."""
        for rule in rules:
            if not isinstance(rule, Rule):
                if len(rule) not in (2, 3, 4):
                    raise ValueError(
                        "a rule is (matcher, target[, target_kwargs[, name]]), "
                        f"so it has 2 to 4 items, not {len(rule)}: {rule!r}"
                    )
                matcher, *rest = rule
                rule = Rule(PathMatches(matcher) if isinstance(matcher, str) else matcher, *rest)
            self._rules.append(self.process_rule(rule))

    def process_rule(self, rule: Rule) -> Rule:
        """Override to change or note each rule as it is added; gives the rule to be kept.

        A list of rules as the target becomes a router of its own here.
        """
        if isinstance(rule.target, list | tuple):
            rule.target = self._nested_router(rule.target)
        return rule

    def _nested_router(self, rules: _RuleList) -> "RuleRouter":
        return RuleRouter(rules)

    def find_handler(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate | None:
        table = self._rules.table or self._rules.make_table()
        for number in table.candidates(request.path):
            rule = self._rules[number]
            params = rule.matcher.match(request)
            if params is None:
                continue
            if rule.target_kwargs:
                params = {**params, "target_kwargs": rule.target_kwargs}
            delegate = self.get_target_delegate(rule.target, request, **params)
            if delegate is not None:
                return delegate
        return None

    def _match(self, request: httputil.HTTPServerRequest) -> tuple[Rule, dict[str, Any]] | None:
        """The first rule that accepts the request and what its matcher found (not to be changed).

        What `find_handler` does without asking the target: for the way of every request.
        """
        return (self._rules.table or self._rules.make_table()).find(request)

    def get_target_delegate(
        self, target: Any, request: httputil.HTTPServerRequest, **target_params: Any
    ) -> httputil.HTTPMessageDelegate | None:
        """The delegate of a rule's target for this request, or None to go on to the next rule.

        The target may be a `Router`, any other `HTTPServerConnectionDelegate`, or a function of
        the request. `target_params` are what the matcher found, and the rule's `target_kwargs`
        if it has any; routers and functions are called with them. Override to allow for more
        kinds of target.
        """
        if isinstance(target, Router):
            return target.find_handler(request, **target_params)
        connection = request.connection
        if isinstance(target, httputil.HTTPServerConnectionDelegate):
            if connection is None:
                raise ValueError("a request without a connection cannot be handed on")
            return target.start_request(request.server_connection, connection)
        if callable(target):
            return _CallableDelegate(functools.partial(target, **target_params), request)
        return None


class ReversibleRuleRouter(ReversibleRouter, RuleRouter):
    """A `RuleRouter` that makes URLs from the names of its rules and of the routers within it."""

    def __init__(self, rules: _RuleList | None = None) -> None:
        self.named_rules: dict[str, Rule] = {}
        super().__init__(rules)

    def process_rule(self, rule: Rule) -> Rule:
        rule = super().process_rule(rule)
        if rule.name:
            if rule.name in self.named_rules:
                app_log.warning("Multiple handlers named %s; replacing previous value", rule.name)
            self.named_rules[rule.name] = rule
        return rule

    def _nested_router(self, rules: _RuleList) -> RuleRouter:
        return ReversibleRuleRouter(rules)

    def reverse_url(self, name: str, *args: Any) -> str | None:
        if name in self.named_rules:
            return self.named_rules[name].reverse(*args)
        for rule in self._rules:
            if isinstance(rule.target, ReversibleRouter):
                url = rule.target.reverse_url(name, *args)
                if url is not None:
                    return url
        return None
