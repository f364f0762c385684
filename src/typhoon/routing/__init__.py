"""Flexible routing of HTTP requests to what handles them.

`typhoon.web.Application` is a `Router` and is all that most programs need. The classes here
match on more than it does, and nest:

    router = RuleRouter([
        Rule(HostMatches(r"api\\.example\\.com"), api_application),
        Rule(PathMatches("/legacy/.*"), legacy_router),
        Rule(AnyMatches(), site_application),
    ])
    server = HTTPServer(router)

A `Router` of one's own implements `find_handler`, which gives the `HTTPMessageDelegate` for a
request; a `ReversibleRouter` also makes URLs from names.

Rules are tried in order. A `RuleRouter` asks only those whose literal text the path begins with,
so that many rules cost about as much as a few.
"""

from typhoon.routing.matchers import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    Matcher,
    PathMatches,
)
from typhoon.routing.routers import ReversibleRouter, ReversibleRuleRouter, Router, RuleRouter
from typhoon.routing.rules import Rule, URLSpec, _RuleList

__all__ = [
    "AnyMatches",
    "DefaultHostMatches",
    "HostMatches",
    "Matcher",
    "PathMatches",
    "ReversibleRouter",
    "ReversibleRuleRouter",
    "Router",
    "Rule",
    "RuleRouter",
    "URLSpec",
    "_RuleList",
]
