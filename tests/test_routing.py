"""Routers, rules and matchers, without a server."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon import httputil, routing
from typhoon._core import RouteTable
from typhoon.routing import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    Matcher,
    PathMatches,
    ReversibleRuleRouter,
    Router,
    Rule,
    RuleRouter,
    URLSpec,
)
from typhoon.routing.patterns import literal_start


class Connection(httputil.HTTPConnection):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    def write_headers(self, start_line: Any, headers: Any, chunk: bytes | None = None) -> Any:
        self.written.append((start_line.code, chunk))

    def finish(self) -> None:
        self.written.append("finish")


def request(
    path: str, host: str = "localhost", headers: dict[str, str] | None = None
) -> httputil.HTTPServerRequest:
    return httputil.HTTPServerRequest(
        method="GET",
        uri=path,
        headers=httputil.HTTPHeaders({"Host": host, **(headers or {})}),
        connection=Connection(),
    )


class Delegate(httputil.HTTPMessageDelegate):
    """Notes what it is given."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def headers_received(self, start_line: Any, headers: Any) -> None:
        self.calls.append(("headers", start_line.path))

    def data_received(self, chunk: bytes) -> None:
        self.calls.append(("data", chunk))

    def finish(self) -> None:
        self.calls.append("finish")

    def on_connection_close(self) -> None:
        self.calls.append("close")


class Leaf(Router):
    """A router that knows some paths, and notes what it was asked with."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.kwargs: dict[str, Any] = {}
        self.delegate = Delegate()

    def find_handler(self, request: Any, **kwargs: Any) -> Delegate | None:
        self.kwargs = kwargs
        return self.delegate if request.path in self.paths else None


class Handler:
    """Stands for a handler class."""


def names(router: RuleRouter, path: str) -> str | None:
    found = router._match(request(path))
    return found and found[0].target


# --- which rule ---------------------------------------------------------------------------------


def test_the_first_rule_that_matches_wins() -> None:
    router = RuleRouter(
        [
            (PathMatches("/users/me"), print),
            ("/users/([0-9]+)", len),
            (PathMatches(re.compile("/users/")), repr),
            ("/users/me", str),
            Rule(AnyMatches(), max),
        ]
    )
    assert names(router, "/users/me") is print
    assert names(router, "/users/7") is len
    assert names(router, "/users/x") is repr
    assert names(router, "/users") is max


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/a", "/a", {}),
        ("/a", "/ab", None),
        ("/a", "/", None),
        ("^/a$", "/a", {}),
        ("a", "/a", None),
        ("/(.*)", "/", {"path_args": [b""], "path_kwargs": {}}),
        ("/(a)(b)?", "/a", {"path_args": [b"a", None], "path_kwargs": {}}),
        ("/(.*)", "/a%2Fb%20+", {"path_args": [b"a/b +"], "path_kwargs": {}}),
        ("/(.*)", "/%E9", {"path_args": [b"\xe9"], "path_kwargs": {}}),
        ("/(?P<x>.)(?P<y>.)?", "/a", {"path_args": [], "path_kwargs": {"x": b"a", "y": None}}),
        (re.compile("/a"), "/abc", {}),
        (re.compile("/A", re.IGNORECASE), "/abc", {}),
    ],
)
def test_path_matches(
    pattern: str | re.Pattern[str], path: str, expected: dict[str, Any] | None
) -> None:
    assert PathMatches(pattern).match(request(path)) == expected
    found = RuleRouter([(PathMatches(pattern), print)])._match(request(path))
    assert (found and found[1]) == expected


def test_the_query_is_no_part_of_the_path() -> None:
    assert PathMatches("/a").match(request("/a?b=c")) == {}


def test_a_match_may_be_changed_without_touching_the_next() -> None:
    for matcher in (AnyMatches(), PathMatches("/a"), HostMatches("localhost")):
        first = matcher.match(request("/a"))
        assert first == {}
        first["x"] = 1
        assert matcher.match(request("/a")) == {}


def test_host_matches() -> None:
    matcher = HostMatches(r"(www|api)\.example\.com")
    assert matcher.match(request("/", "www.example.com")) == {}
    assert matcher.match(request("/", "API.example.com:8080")) == {}
    assert matcher.match(request("/", "www.example.com.evil.org")) is None
    assert matcher.match(request("/", "x.www.example.com")) is None
    assert HostMatches(re.compile("www")).match(request("/", "www.example.com")) == {}


def test_default_host_matches() -> None:
    class Application:
        default_host: str | None = "www.example.com"

    application = Application()
    matcher = DefaultHostMatches(application, re.compile(r"www\.example\.com$"))
    assert matcher.match(request("/", "127.0.0.1")) == {}
    assert matcher.match(request("/", headers={"X-Real-Ip": "10.0.0.1"})) is None
    application.default_host = "other"
    assert matcher.match(request("/")) is None
    application.default_host = None
    assert matcher.match(request("/")) is None


def test_rules_on_other_things_than_the_path_are_always_asked() -> None:
    class Odd(PathMatches):
        def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
            return {"odd": True} if request.path == "/elsewhere" else None

    router = RuleRouter(
        [
            ("/only", print),
            Rule(HostMatches("www.example.com"), len),
            Rule(Odd("/only"), repr),
        ]
    )
    assert names(router, "/elsewhere") is repr
    found = router._match(request("/nowhere", "www.example.com"))
    assert found is not None
    assert found[0].target is len
    assert names(router, "/nowhere") is None


def test_rules_may_be_changed_at_any_time() -> None:
    router = RuleRouter([("/a", print)])
    rule = Rule(PathMatches("/b"), len)
    assert names(router, "/b") is None
    router.rules.append(rule)
    assert names(router, "/b") is len
    router.rules.insert(0, Rule(PathMatches("/b"), repr))
    assert names(router, "/b") is repr
    router.rules.pop(0)
    assert names(router, "/b") is len
    router.rules[1] = Rule(PathMatches("/b"), str)
    assert names(router, "/b") is str
    del router.rules[1]
    assert names(router, "/b") is None
    router.rules += [rule]
    assert names(router, "/b") is len
    router.rules.remove(rule)
    assert names(router, "/b") is None
    router.rules.extend([Rule(AnyMatches(), max), rule])
    assert names(router, "/b") is max
    router.rules.reverse()
    assert names(router, "/b") is len
    router.rules.sort(key=lambda rule: rule.target is not max)
    assert names(router, "/b") is max
    router.rules.clear()
    assert names(router, "/a") is None
    router.rules = [rule]
    assert names(router, "/b") is len
    router.add_rules([("/c", str)])
    assert names(router, "/c") is str
    router.rules *= 0
    assert names(router, "/c") is None


# --- never skip a rule that could match ---------------------------------------------------------

PIECES = st.sampled_from(
    [
        *("/", "a", "b", "ab", "é", "%", "-", "^", "$", ".", "*", "?", "+", "|", "#", " "),
        *("(", ")", "(?:", "(?i:", "(?P<n>", "[", "]", "[^/]+", "(.*)", "{2}", "{0,1}", "\n"),
        *("\\", "\\.", "\\d", "\\$", "\\A", "\\Z", "\\b", "(?=a)", "(?!a)", "\\u00e9", "\ud800"),
    ]
)
PATTERNS = st.lists(PIECES, max_size=8).map("".join)
PATHS = st.text(st.sampled_from("/abéAB%-.$ \n#d\ud800"), max_size=6)
FLAGS = st.sampled_from([0, 0, 0, re.I, re.X, re.M, re.S, re.A, re.I | re.X])


def compiled(pattern: str, flags: int) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern, flags)
    except (re.error, FutureWarning, DeprecationWarning, OverflowError):
        return None


@given(st.lists(st.tuples(PATTERNS, FLAGS, st.booleans()), max_size=12), PATHS)
def test_candidates_never_skip_a_rule_that_matches(
    rules: list[tuple[str, int, bool]], path: str
) -> None:
    regexes = [
        regex
        for pattern, flags, whole in rules
        if (regex := compiled(pattern + ("$" if whole else ""), flags)) is not None
    ]
    table = RouteTable([literal_start(regex) for regex in regexes])
    candidates = table.candidates(path)
    assert list(candidates) == sorted(set(candidates))
    matching = [number for number, regex in enumerate(regexes) if regex.match(path)]
    assert set(matching) <= set(candidates)
    router = RuleRouter([(PathMatches(regex), str) for regex in regexes])
    incoming = request("/")
    incoming.path = path
    found = router._match(incoming)
    assert (found and router.rules.index(found[0])) == (matching[0] if matching else None)


@given(st.text(st.sampled_from("/ab.%é-"), max_size=8), st.text("/ab.%é-", max_size=8))
def test_a_pattern_of_plain_text_is_told_from_its_text(text: str, path: str) -> None:
    table = RouteTable([literal_start(re.compile(re.escape(text) + "$"))])
    assert bool(table.candidates(path)) == (text == path)


@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        ("/a/b$", 0, ("/a/b", True)),
        ("^/a$", 0, ("/a", True)),
        ("/a", 0, ("/a", False)),
        ("/a(.*)$", 0, ("/a", False)),
        (r"/a\.b/\d+$", 0, ("/a.b/", False)),
        ("/ab*$", 0, ("/a", False)),
        ("/ab?$", 0, ("/a", False)),
        ("/ab{2}$", 0, ("/a", False)),
        ("/a|/b$", 0, ("/", False)),
        ("a|b$", 0, ("", False)),
        ("/a/(x|y)$", 0, ("/a/", False)),
        ("/a$", re.IGNORECASE, ("", False)),
        ("(?i)/a$", 0, ("", False)),
        ("/a # b$", re.VERBOSE, ("", False)),
        ("/a\\$", 0, ("/a$", False)),
        ("/a\ud800b$", 0, ("/a", False)),
        ("$", 0, ("", True)),
        ("", 0, ("", False)),
    ],
)
def test_the_literal_start_of_a_pattern(
    pattern: str, flags: int, expected: tuple[str, bool]
) -> None:
    assert literal_start(re.compile(pattern, flags)) == expected


# --- find_handler and its targets ---------------------------------------------------------------


def run(delegate: httputil.HTTPMessageDelegate | None, *chunks: bytes) -> None:
    assert delegate is not None
    delegate.headers_received(
        httputil.RequestStartLine("GET", "/", "HTTP/1.1"), httputil.HTTPHeaders()
    )
    for chunk in chunks:
        delegate.data_received(chunk)
    delegate.finish()


def test_a_rule_without_a_delegate_is_passed_over() -> None:
    first, second = Leaf("/a"), Leaf("/a", "/b")
    router = RuleRouter([("/.*", first), ("/.*", second)])
    assert router.find_handler(request("/a")) is first.delegate
    assert router.find_handler(request("/b")) is second.delegate
    assert router.find_handler(request("/c")) is None


def test_parameters_reach_the_target() -> None:
    leaf = Leaf("/a/7")
    router = RuleRouter([Rule(PathMatches("/a/(.*)"), leaf, {"option": 1})])
    assert router.find_handler(request("/a/7")) is leaf.delegate
    expected = {"path_args": [b"7"], "path_kwargs": {}, "target_kwargs": {"option": 1}}
    assert leaf.kwargs == expected


def test_target_kwargs_do_not_change_what_the_matcher_gave() -> None:
    shared: dict[str, Any] = {}

    class Shared(Matcher):
        def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any]:
            return shared

    leaf = Leaf("/")
    assert RuleRouter([(Shared(), leaf, {"option": 1})]).find_handler(request("/"))
    assert leaf.kwargs == {"target_kwargs": {"option": 1}}
    assert shared == {}


def test_a_function_as_the_target() -> None:
    seen: list[Any] = []

    def function(request: httputil.HTTPServerRequest, **kwargs: Any) -> None:
        seen.append((request.body, kwargs))

    router = RuleRouter([("/plain", function), ("/args/(.*)", function)])
    run(router.find_handler(request("/plain")), b"a", b"b")
    run(router.find_handler(request("/args/x")))
    assert seen == [(b"ab", {}), (b"", {"path_args": [b"x"], "path_kwargs": {}})]


def test_a_connection_delegate_as_the_target() -> None:
    started: list[Any] = []
    delegate = Delegate()

    class ConnectionDelegate(httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn: object, request_conn: Any) -> Delegate:
            started.append((server_conn, request_conn))
            return delegate

    router = RuleRouter([("/", ConnectionDelegate())])
    incoming = request("/")
    incoming.server_connection = server_conn = object()
    assert router.find_handler(incoming) is delegate
    assert started == [(server_conn, incoming.connection)]
    incoming.connection = None
    with pytest.raises(ValueError, match="without a connection"):
        router.find_handler(incoming)


def test_a_list_of_rules_as_the_target() -> None:
    leaf = Leaf("/a")
    router = RuleRouter([(HostMatches("www.example.com"), [("/a", leaf)])])
    assert router.find_handler(request("/a", "www.example.com")) is leaf.delegate
    assert router.find_handler(request("/a")) is None


def test_other_kinds_of_target() -> None:
    delegate = Delegate()

    class Own(RuleRouter):
        def get_target_delegate(self, target: Any, request: Any, **target_params: Any) -> Any:
            if target == 42:
                return delegate
            return super().get_target_delegate(target, request, **target_params)

    router = Own([("/a", 41), ("/a", 42)])
    assert router.find_handler(request("/a")) is delegate


def test_dotted_names_are_imported() -> None:
    assert Rule(AnyMatches(), "typhoon.routing.RuleRouter").target is RuleRouter
    assert URLSpec("/", "typhoon.routing.RuleRouter").handler_class is RuleRouter
    with pytest.raises(ImportError):
        Rule(AnyMatches(), "typhoon.routing_that_is_not.RuleRouter")


@pytest.mark.parametrize("rule", [(), ("/a",), ("/a", print, {}, "name", "more")])
def test_a_rule_with_too_few_or_many_items(rule: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="2 to 4 items"):
        RuleRouter([rule])


def test_process_rule_gives_the_rule_that_is_kept() -> None:
    class Shouting(RuleRouter):
        def process_rule(self, rule: Rule) -> Rule:
            return Rule(PathMatches(rule.matcher.reverse().upper()), rule.target)

    assert names(Shouting([("/a", print)]), "/A") is print


# --- as the callback of a server ----------------------------------------------------------------


def test_a_router_starts_requests() -> None:
    leaf = Leaf("/a")
    delegate = RuleRouter([("/.*", leaf)]).start_request(object(), Connection())
    delegate.on_connection_close()
    delegate.headers_received(
        httputil.RequestStartLine("GET", "/a?x=y", "HTTP/1.1"),
        httputil.HTTPHeaders({"Host": "localhost"}),
    )
    delegate.data_received(b"chunk")
    delegate.finish()
    delegate.on_connection_close()
    assert leaf.delegate.calls == [("headers", "/a?x=y"), ("data", b"chunk"), "finish", "close"]


def test_a_router_answers_404(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection()
    delegate = RuleRouter([("/a", print)]).start_request(object(), connection)
    with caplog.at_level(logging.DEBUG, "typhoon.application"):
        delegate.headers_received(
            httputil.RequestStartLine("GET", "/b", "HTTP/1.1"),
            httputil.HTTPHeaders({"Host": "localhost"}),
        )
        delegate.finish()
    assert connection.written == [(404, None), "finish"]
    assert caplog.messages == ["Delegate for GET /b request not found"]


# --- reverse ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "args", "expected"),
    [
        ("/a", (), "/a"),
        (r"^/favicon\.ico$", (), "/favicon.ico"),
        ("/user/([^/]+)/post/(\\d+)", ("a b", 7), "/user/a%20b/post/7"),
        ("/(?P<year>[0-9]{4})/(?P<name>.*)", (2026, "é".encode()), "/2026/%C3%A9"),
        (r"/([)(]+)/(\)x)", ("a", "b"), "/a/b"),
        ("/((?:a|b)+)/c", ("a",), "/a/c"),
        ("/100%/(.*)", ("x",), "/100%/x"),
        ("/100%", (), "/100%"),
        (r"/price\$", (), "/price$"),
        ("/a/?", (), "/a/?"),
    ],
)
def test_reverse(pattern: str, args: tuple[Any, ...], expected: str) -> None:
    assert PathMatches(pattern).reverse(*args) == expected


@pytest.mark.parametrize(
    "pattern", [r"/\d+", "/(?:a|b)", "/(a(b))", "/(?:a)/(b(c))", "/(?=a).*", r"/(a)\1", "(?x)/a"]
)
def test_patterns_that_cannot_be_reversed(pattern: str) -> None:
    matcher = PathMatches(pattern)
    assert matcher._find_groups() == (None, None)
    with pytest.raises(ValueError, match="Cannot reverse url regex"):
        matcher.reverse()


@pytest.mark.parametrize("args", [(), ("a", "b")])
def test_reverse_with_another_number_of_arguments(args: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"with 1 arguments, not {len(args)}"):
        PathMatches("/(.*)").reverse(*args)


def test_find_groups() -> None:
    assert PathMatches("/([0-9]{4})/([a-z-]+)/")._find_groups() == ("/%s/%s/", 2)


def test_reverse_url_looks_into_nested_routers() -> None:
    router = ReversibleRuleRouter(
        [
            Rule(PathMatches("/a"), Handler, name="a"),
            (HostMatches("www"), [(PathMatches("/b/(.*)"), Handler, {}, "b")]),
            (AnyMatches(), RuleRouter([Rule(PathMatches("/c"), Handler, name="c")])),
            Rule(AnyMatches(), Handler, name="any"),
        ]
    )
    assert router.reverse_url("a") == "/a"
    assert router.reverse_url("b", 1) == "/b/1"
    assert router.reverse_url("c") is None
    assert router.reverse_url("any") is None
    assert router.reverse_url("nothing") is None


def test_a_name_given_twice(caplog: pytest.LogCaptureFixture) -> None:
    router = ReversibleRuleRouter([URLSpec("/a", Handler, name="x"), URLSpec("/b", Handler)])
    assert not caplog.messages
    router.add_rules([URLSpec("/c", Handler, name="x")])
    assert caplog.messages == ["Multiple handlers named x; replacing previous value"]
    assert router.reverse_url("x") == "/c"


# --- URLSpec ------------------------------------------------------------------------------------


def test_urlspec() -> None:
    spec = URLSpec("/a/(.*)", Handler, {"option": 1}, "name")
    assert spec.regex.pattern == "/a/(.*)$"
    assert isinstance(spec.matcher, PathMatches)
    assert spec.handler_class is spec.target is Handler
    assert spec.kwargs == spec.target_kwargs == {"option": 1}
    assert spec.name == "name"
    assert spec.reverse("b") == "/a/b"
    assert repr(spec) == f"URLSpec('/a/(.*)$', {Handler}, kwargs={{'option': 1}}, name='name')"
    assert repr(Rule(spec.matcher, Handler)).startswith("Rule(<typhoon.routing")


def test_urlspec_with_named_and_positional_groups() -> None:
    with pytest.raises(ValueError, match="all named or all positional"):
        URLSpec("/(?P<a>.)/(.)", Handler)


def test_names_that_others_rely_on() -> None:
    assert routing._RuleList
    matcher = PathMatches("/(.*)")
    assert (matcher._path, matcher._group_count) == ("/%s", 1)
