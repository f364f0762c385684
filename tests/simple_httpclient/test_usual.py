"""What usual requests need, which is made once: the same as what others get, made each time."""

import ssl
from typing import Any

import pytest

from typhoon.httpclient import HTTPRequest
from typhoon.simple_httpclient.headers import request_headers
from typhoon.simple_httpclient.route import route_of
from typhoon.simple_httpclient.target import parse_target
from typhoon.simple_httpclient.usual import is_usual, plan_of

URL = "http://user:pass@example.com:8080/a?b=c"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"request_timeout": 1.0, "connect_timeout": 1.0},
        {"user_agent": "me", "decompress_response": True},
        {"url": "https://example.com/", "validate_cert": False},
        {"url": "https://example.com/", "ssl_options": ssl.create_default_context()},
    ],
)
def test_a_plan_is_what_the_request_says(settings: dict[str, Any]) -> None:
    request = HTTPRequest(**{"url": URL, **settings})
    assert is_usual(request)
    target = parse_target(request.url)
    plan = plan_of(
        request.url,
        request.user_agent,
        request.decompress_response,
        request.validate_cert,
        request.ssl_options,
    )
    assert plan.target == target.path
    assert plan.route == route_of(request, target)
    assert list(plan.headers.get_all()) == list(request_headers(request, target).get_all())


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "HEAD"},
        {"method": "POST", "body": b""},
        {"headers": {"A": "b"}},
        {"if_modified_since": 0},
        {"auth_username": "me"},
        {"auth_mode": "digest"},
        {"streaming_callback": print},
        {"header_callback": print},
        {"body_producer": print},
        {"expect_100_continue": True},
        {"proxy_host": "proxy", "proxy_port": 1},
        {"network_interface": "127.0.0.1"},
        {"allow_ipv6": False},
        {"ca_certs": "file"},
        {"client_cert": "file"},
        {"ssl_options": {"ca_certs": "file"}},
    ],
)
def test_whatever_else_is_asked_for_is_not_usual(settings: dict[str, Any]) -> None:
    assert not is_usual(HTTPRequest(URL, **settings))


def test_nor_is_what_is_set_afterwards_or_by_a_class() -> None:
    class Mine(HTTPRequest):
        proxy_host = "proxy"

    request = HTTPRequest(URL)
    request.unix_socket = "/run/socket"
    assert not is_usual(request)
    assert not is_usual(Mine(URL))
