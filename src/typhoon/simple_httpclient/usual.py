"""Usual requests: a GET to which nothing is special. What it needs to be sent is made once."""

from typing import Any, Final, NamedTuple

from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.headers import request_headers
from typhoon.simple_httpclient.route import Route, route_of
from typhoon.simple_httpclient.target import parse_target

_USUAL: Final = frozenset(
    (
        "_original",
        "allow_nonstandard_methods",
        "connect_timeout",
        "decompress_response",
        "follow_redirects",
        "max_redirects",
        "method",
        "proxy_password",
        "request_timeout",
        "ssl_options",
        "start_time",
        "url",
        "user_agent",
        "validate_cert",
    )
)
"""Attributes of a request that decide nothing but what `plan_of` knows of, or nothing here."""


class Plan(NamedTuple):
    """What a request needs."""

    target: str
    """The request target."""
    route: Route
    headers: HTTPHeaders
    """All headers; they are shared."""


def is_usual(request: HTTPRequest) -> bool:
    """Whether the arguments of `plan_of` say all that there is to a request."""
    values = vars(request)
    return (
        values.keys() <= _USUAL
        and request.method == "GET"
        and type(request) is HTTPRequest
        and type(values.get("ssl_options")) is not dict
    )


def plan_of(
    url: str,
    user_agent: str | None,
    decompress_response: bool | None,
    validate_cert: bool | None,
    ssl_options: Any,
) -> Plan:
    """What a usual request needs. Clients remember it.

    Raises:
        ValueError: The URL is none.
    """
    request = HTTPRequest(
        url,
        user_agent=user_agent,
        decompress_response=decompress_response,
        validate_cert=validate_cert,
        ssl_options=ssl_options,
    )
    target = parse_target(url)
    return Plan(target.path, route_of(request, target), request_headers(request, target))
