"""Requests that pages of other origins make."""

from __future__ import annotations

import pytest

from typhoon.web import Application, ErrorHandler, RequestHandler, stream_request_body

TRUSTED = "https://trusted.example.com"
EVIL = "https://evil.example.com"


class Handler(RequestHandler):
    def answer(self) -> None:
        self.write("done")

    get = head = options = post = put = patch = delete = answer


def application(handler: type[RequestHandler] = Handler, **settings) -> Application:
    settings = {"cross_origin_protection": True, "trusted_origins": [TRUSTED], **settings}
    return Application([("/", handler)], **settings)


def headers_of(site: str | None, origin: str | None, host: str = "localhost") -> dict[str, str]:
    fields = {"Host": host, "Sec-Fetch-Site": site, "Origin": origin}
    return {name: value for name, value in fields.items() if value is not None}


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        # What is no browser, or no page.
        (None, None, 200),
        ("none", None, 200),
        # The browser knows.
        ("same-origin", None, 200),
        ("same-origin", EVIL, 200),
        ("same-site", None, 403),
        ("same-site", "https://localhost", 403),
        ("cross-site", None, 403),
        ("cross-site", "http://localhost", 403),
        ("cross-site", "null", 403),
        ("cross-site", EVIL, 403),
        ("cross-site", TRUSTED, 200),
        ("same-site", TRUSTED, 200),
        ("nonsense", None, 403),
        ("", None, 403),
        ("same-origin, cross-site", None, 403),
        # The browser says only where the page is from.
        (None, "http://localhost", 200),
        (None, "https://localhost", 200),
        (None, "http://LOCALHOST", 200),
        (None, "http://localhost/path", 200),
        (None, "http://localhost:81", 403),
        (None, "http://localhost.evil.com", 403),
        (None, "http://evil.com/localhost", 403),
        (None, "http://localhost@evil.com", 403),
        (None, "localhost", 403),
        (None, "null", 403),
        (None, "", 403),
        (None, "http://[", 403),
        (None, EVIL, 403),
        (None, TRUSTED, 200),
        (None, TRUSTED + "/", 403),
        (None, TRUSTED + ":443", 403),
        (None, "http://trusted.example.com", 403),
    ],
)
def test_who_may_change_something(serve, site, origin, status):
    answer = serve(application()).post("/", b"", headers_of(site, origin))
    assert answer.status == status


@pytest.mark.parametrize(
    ("site", "origin", "message"),
    [
        ("cross-site", None, "Sec-Fetch-Site cross-site from origin None not allowed"),
        ("same-site", EVIL, f"Sec-Fetch-Site same-site from origin {EVIL!r} not allowed"),
        (None, "null", "Origin 'null' not allowed"),
    ],
)
def test_why_a_request_is_refused(serve, caplog, site, origin, message):
    server = serve(application())
    assert server.post("/", b"", headers_of(site, origin)).status == 403
    server.call()
    messages = [r.getMessage() for r in caplog.records if r.name == "typhoon.general"]
    assert messages == [f"403 POST / (127.0.0.1): {message}"]


def test_a_host_with_a_port(serve):
    server = serve(application())
    for origin, status in (("http://a:8080", 200), ("http://a", 403), ("http://a:80", 403)):
        assert server.post("/", b"", headers_of(None, origin, host="a:8080")).status == status


@pytest.mark.parametrize(
    ("method", "checked"),
    [
        ("GET", False),
        ("HEAD", False),
        ("OPTIONS", False),
        ("POST", True),
        ("PUT", True),
        ("PATCH", True),
        ("DELETE", True),
    ],
)
def test_methods(serve, method, checked):
    with serve(application()).connect() as client:
        headers = headers_of("cross-site", EVIL)
        assert client.request(method, "/", headers, b"").status == (403 if checked else 200)


def test_off_by_default(serve):
    server = serve(Application([("/", Handler)]))
    assert server.post("/", b"", headers_of("cross-site", EVIL)).status == 200


def test_an_override(serve):
    asked = []

    class Own(Handler):
        def check_trusted_origin(self, origin: str) -> bool:
            asked.append(origin)
            return origin.endswith(".example.org")

        def check_origin(self, origin: str) -> bool:
            raise NotImplementedError("this is for websockets")

    server = serve(application(Own))
    for site, origin, status in (
        ("same-origin", EVIL, 200),
        (None, "http://localhost", 200),
        ("cross-site", None, 403),
        (None, "https://a.example.org", 200),
        ("cross-site", EVIL, 403),
        ("cross-site", TRUSTED, 403),
    ):
        assert server.post("/", b"", headers_of(site, origin)).status == status
    # Nobody is asked about the same origin.
    assert asked == ["https://a.example.org", EVIL, TRUSTED]


def test_an_override_that_nobody_awaits_trusts_nobody(serve):
    class Async(Handler):
        async def check_trusted_origin(self, origin: str) -> bool:
            return False

    server = serve(application(Async, serve_traceback=True))
    answer = server.post("/", b"", headers_of("cross-site", EVIL))
    assert answer.status == 500
    assert "check_trusted_origin() has to be awaited" in answer.text


def test_the_check_comes_before_prepare(serve):
    prepared = []

    @stream_request_body
    class Streaming(Handler):
        def prepare(self) -> None:
            prepared.append(self.request.method)

        def data_received(self, chunk: bytes) -> None:
            pass

    class Plain(Handler):
        def prepare(self) -> None:
            prepared.append(self.request.method)

    for handler in (Streaming, Plain):
        server = serve(application(handler))
        assert server.post("/", b"abc", headers_of("cross-site", EVIL)).status == 403
        assert prepared == []


def test_together_with_tokens(serve):
    server = serve(application(xsrf_cookies=True))
    token = {"Cookie": "_xsrf=abcd", "X-XSRFToken": "abcd"}
    for site, brought, status in (
        ("same-origin", token, 200),
        ("same-origin", {}, 403),
        ("cross-site", token, 403),
    ):
        assert server.post("/", b"", {**headers_of(site, EVIL), **brought}).status == status


def test_errors_stay_what_they_are(serve):
    rules = [("/error", ErrorHandler, {"status_code": 417})]
    server = serve(Application(rules, cross_origin_protection=True))
    assert server.post("/error", b"", headers_of("cross-site", EVIL)).status == 417
    assert server.post("/nowhere", b"", headers_of("cross-site", EVIL)).status == 404


@pytest.mark.parametrize(
    ("origins", "error", "message"),
    [
        ("https://a.example", TypeError, r"write \['https://a.example'\]"),
        (["https://a.example/"], ValueError, "'https://a.example/', which no browser sends"),
        (["a.example"], ValueError, "which no browser sends"),
        (["https://A.example"], ValueError, "which no browser sends"),
        (["null"], ValueError, "which no browser sends"),
        ([b"https://a.example"], ValueError, "which no browser sends"),
    ],
)
def test_a_setting_that_would_trust_nobody_fails_at_the_start(origins, error, message):
    with pytest.raises(error, match=message):
        Application([], trusted_origins=origins)


@pytest.mark.parametrize("origins", [(), {TRUSTED}, ["http://[::1]:8888", "chrome-extension://a"]])
def test_settings_that_are_right(origins):
    Application([], trusted_origins=origins)
