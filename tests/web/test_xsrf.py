"""Forged requests, and how those of one's own pages are told from them."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

import pytest

from support import Response
from typhoon.escape import json_decode, to_unicode, utf8, xhtml_escape
from typhoon.web import (
    Application,
    ErrorHandler,
    HTTPError,
    RequestHandler,
    stream_request_body,
)
from typhoon.web.xsrf import XSRFToken

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RAW = "0123456789abcdef0123456789abcdef"
OF_TORNADO = "2|6dcb013a|6ce8445de460ccd56ce8445de460ccd5|1795256293"
"""What Tornado 6.6.1 made of RAW."""


class Handler(RequestHandler):
    def get(self) -> None:
        self.write(self.xsrf_token)

    def answer(self) -> None:
        self.write("done")

    post = put = patch = delete = head = options = answer


def application(handler: type[RequestHandler] = Handler, **settings) -> Application:
    return Application([("/", handler)], **{"xsrf_cookies": True, **settings})


def send(
    server,
    cookie: str | None = None,
    argument: str | None = None,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    target: str = "/",
) -> Response:
    fields = {**FORM, **(headers or {})}
    if cookie is not None:
        fields["Cookie"] = f"_xsrf={cookie}"
    body = urlencode({"_xsrf": argument}).encode() if argument is not None else b""
    with server.connect() as client:
        return client.request(method, target, fields, body)


def test_a_form_of_our_own(serve):
    class Form(Handler):
        def get(self) -> None:
            self.write(self.xsrf_form_html())

    server = serve(application(Form))
    answer = server.get("/")
    cookie = re.fullmatch(r"_xsrf=([^;]+); Path=/", answer.header("Set-Cookie"))[1]
    pattern = r'<input type="hidden" name="_xsrf" value="([^"]+)"/>'
    token = re.fullmatch(pattern, answer.text)[1]
    assert send(server, cookie, token).text == "done"
    assert send(server, cookie, headers={"X-XSRFToken": token}).text == "done"
    assert send(server, cookie, headers={"x-csrftoken": token}).text == "done"
    assert send(server, cookie, target="/?" + urlencode({"_xsrf": token})).text == "done"
    other = "1" if token[-14] == "0" else "0"
    for refused in (
        send(server),
        send(server, cookie),
        send(server, cookie, ""),
        send(server, None, token),
        send(server, RAW, token),
        send(server, cookie, RAW),
        send(server, cookie, token[:-14] + other + token[-13:]),
    ):
        assert refused.status == 403
        assert refused.header("Set-Cookie") is None


@pytest.mark.parametrize(
    ("cookie", "argument", "message"),
    [
        (RAW, None, "'_xsrf' argument missing from POST"),
        (None, RAW, "XSRF cookie does not match POST argument"),
        (RAW, RAW[::-1], "XSRF cookie does not match POST argument"),
        (RAW, "3|", "'_xsrf' argument has invalid format"),
        ("3|", RAW, "XSRF cookie does not match POST argument"),
        (RAW, "2|6dcb013a||1795256293", "'_xsrf' argument has invalid format"),
        ("2|6dcb013a||1", "2|6dcb013a||1", "'_xsrf' argument has invalid format"),
        ("x" * 1025, "x" * 1025, "'_xsrf' argument has invalid format"),
        ("2|" * 5000, "2|" * 5000, "'_xsrf' argument has invalid format"),
    ],
)
def test_why_a_request_is_refused(serve, caplog, cookie, argument, message):
    server = serve(application())
    assert send(server, cookie, argument).status == 403
    server.call()
    messages = [r.getMessage() for r in caplog.records if r.name == "typhoon.general"]
    assert messages == [f"403 POST / (127.0.0.1): {message}"]


@pytest.mark.parametrize(
    ("cookie", "argument"),
    [
        (RAW, RAW),
        (RAW, OF_TORNADO),
        (OF_TORNADO, RAW),
        (OF_TORNADO, OF_TORNADO),
        (OF_TORNADO, OF_TORNADO.upper()),
        ("deadbeef", "deadbeef"),
        ("2|0f62c20f|d1cf7ce0|1795256293", "deadbeef"),
        ("xoxo", "xoxo"),
        ("2|75e9b190|0d86c9ff|1795256293", "xoxo"),
        ("x" * 1024, "x" * 1024),
    ],
)
def test_ways_to_write_a_token(serve, cookie, argument):
    assert send(serve(application()), cookie, argument).text == "done"


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
    assert send(serve(application()), method=method).status == (403 if checked else 200)
    assert send(serve(application()), RAW, RAW, method=method).status == 200
    assert send(serve(application(xsrf_cookies=False)), method=method).status == 200


def test_further_methods(serve):
    class Further(Handler):
        SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "PROPFIND")

        def propfind(self) -> None:
            self.write("found")

    server = serve(application(Further))
    assert send(server, method="PROPFIND").status == 403
    assert send(server, RAW, RAW, method="PROPFIND").text == "found"
    assert send(server, method="MKCOL").status == 405


def test_the_setting_can_change_while_running(serve):
    app = application(xsrf_cookies=False)
    server = serve(app)
    assert send(server).status == 200
    app.settings["xsrf_cookies"] = True
    assert send(server).status == 403


def test_the_check_comes_before_prepare_and_knows_the_path(serve):
    seen = []

    class Watching(Handler):
        def check_xsrf_cookie(self) -> None:
            seen.append(("check", self.path_args))
            super().check_xsrf_cookie()

        def prepare(self) -> None:
            seen.append("prepare")

    server = serve(Application([("/(.*)", Watching)], xsrf_cookies=True))
    assert send(server, target="/a").status == 403
    assert seen == [("check", ["a"])]


@pytest.mark.parametrize("kind", ["_execute", "stream_request_body"])
def test_the_other_ways_of_a_request(serve, kind):
    class Replaced(Handler):
        async def _execute(self, transforms, *args, **kwargs):
            await super()._execute(transforms, *args, **kwargs)

    @stream_request_body
    class Streaming(Handler):
        def data_received(self, chunk: bytes) -> None:
            pass

    server = serve(application(Replaced if kind == "_execute" else Streaming))
    assert send(server, RAW).status == 403
    assert send(server, RAW, headers={"X-XSRFToken": RAW}).text == "done"


def test_the_token_is_written_differently_each_time(serve):
    server = serve(application())
    answers = [server.get("/", {"Cookie": f"_xsrf={RAW}"}) for _ in range(5)]
    tokens = {answer.text for answer in answers}
    assert len(tokens) == 5
    assert not any(part in token for token in tokens for part in (RAW[:8], RAW[8:16]))
    assert all(answer.header("Set-Cookie") is None for answer in answers)
    assert all(send(server, RAW, token).status == 200 for token in tokens)
    # Users have tokens of their own.
    mine, theirs = (server.get("/").text for _ in range(2))
    assert send(server, mine, theirs).status == 403


def test_one_request_has_one_text(serve):
    class Twice(Handler):
        def get(self) -> None:
            assert self.xsrf_token is self.xsrf_token

    assert len(serve(application(Twice)).get("/").header_list("Set-Cookie")) == 1


def test_version_1(serve):
    server = serve(application(xsrf_cookie_version=1))
    answer = server.get("/", {"Cookie": f"_xsrf={OF_TORNADO}"})
    assert answer.text == RAW
    assert re.fullmatch("[0-9a-f]{32}", server.get("/").text)
    assert send(server, OF_TORNADO, RAW).status == 200


def test_how_the_cookie_is_set(serve):
    server = serve(
        application(
            xsrf_cookie_name="__Host-xsrf",
            xsrf_cookie_kwargs={"secure": True, "httponly": True, "samesite": "Strict"},
        )
    )
    answer = server.get("/")
    cookie, *attributes = answer.header("Set-Cookie").split("; ")
    assert cookie == f"__Host-xsrf={answer.text}"
    assert attributes == ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]
    # The argument keeps its name.
    assert send(server, None, answer.text, headers={"Cookie": cookie}).status == 200
    assert send(server, answer.text, answer.text).status == 403


@pytest.mark.parametrize(
    ("user", "keywords", "lasting"),
    [
        (None, {}, False),
        ("Ben", {}, True),
        ("Ben", {"expires_days": None}, False),
        (None, {"expires_days": 2}, True),
    ],
)
def test_the_cookie_of_a_user_who_is_signed_in_lasts(serve, user, keywords, lasting):
    class SignedIn(Handler):
        def get_current_user(self) -> str | None:
            return user

    answer = serve(application(SignedIn, xsrf_cookie_kwargs=keywords)).get("/")
    assert ("expires=" in answer.header("Set-Cookie")) == lasting


def test_settings_that_are_none_are_not_set(serve):
    names = ("xsrf_cookie_name", "xsrf_cookie_kwargs", "xsrf_cookie_version", "trusted_origins")
    server = serve(application(cross_origin_protection=True, **dict.fromkeys(names)))
    assert server.get("/").header("Set-Cookie").startswith("_xsrf=2|")
    evil = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}
    assert send(server, RAW, RAW).status == 200
    assert send(server, RAW, RAW, headers=evil).status == 403


def test_errors_stay_what_they_are(serve):
    server = serve(Application([("/error", ErrorHandler, {"status_code": 417})], xsrf_cookies=True))
    assert server.post("/error", b"").status == 417
    assert server.post("/nowhere", b"").status == 404


# Overrides.


class OfTheRussianIntroduction(Handler):
    """Word by word what the introduction has."""

    def check_xsrf_cookie(self):
        token = (
            self.get_argument("_xsrf", None)
            or self.request.headers.get("X-Xsrftoken")
            or self.request.headers.get("X-Csrftoken")
        )
        if not token:
            raise HTTPError(403, "'_xsrf' argument missing from POST")
        else:
            try:
                token = json_decode(token)
            except ValueError:
                token = token
        if self.xsrf_token != token:
            raise HTTPError(403, "XSRF cookie does not match POST argument")


@pytest.mark.parametrize("version", [1, 2])
def test_an_override_that_compares_tokens(serve, version):
    server = serve(application(OfTheRussianIntroduction, xsrf_cookie_version=version))
    cookie = server.get("/").text
    token = server.get("/", {"Cookie": f"_xsrf={cookie}"}).text
    other = server.get("/").text
    assert (token == cookie) == (version == 1)
    for text in (cookie, token):
        assert send(server, cookie, text).text == "done"
        assert send(server, cookie, headers={"X-Xsrftoken": text}).text == "done"
        assert send(server, cookie, json.dumps(text)).text == "done"
    assert send(server, cookie, other).status == 403
    assert send(server, cookie).status == 403
    assert send(server, None, token).status == 403
    assert send(server, cookie, "3|").status == 403


def test_an_override_that_checks_nothing(serve):
    class Open(Handler):
        def check_xsrf_cookie(self) -> None:
            """Nothing: no cookie says who makes the request."""

    assert send(serve(application(Open))).text == "done"


def test_an_override_that_nobody_awaits_lets_nothing_pass(serve):
    class Async(Handler):
        async def check_xsrf_cookie(self) -> None:
            pass

    answer = send(serve(application(Async, serve_traceback=True)))
    assert answer.status == 500
    assert "Async.check_xsrf_cookie() has to be awaited" in answer.text


def test_programs_may_set_the_token_themselves(serve):
    class Own(Handler):
        def prepare(self) -> None:
            assert not hasattr(self, "_xsrf_token")
            self._xsrf_token = b"our own"

    answer = serve(application(Own)).get("/")
    assert answer.text == "our own"
    assert answer.header("Set-Cookie") is None


def test_a_token_is_bytes_that_read_as_text():
    token = XSRFToken(OF_TORNADO.encode())
    assert isinstance(token, bytes)
    assert token.decode("utf8") == OF_TORNADO
    assert str(token) == f"{token}" == "%s" % token == OF_TORNADO  # noqa: UP031
    assert f"{token:>60}" == OF_TORNADO.rjust(60)
    assert to_unicode(token) == xhtml_escape(token) == OF_TORNADO
    assert utf8(token) == OF_TORNADO.encode()


def test_tokens_compare_as_tokens():
    token = XSRFToken(OF_TORNADO.encode())
    for same in (OF_TORNADO, RAW, RAW.encode(), RAW.upper(), XSRFToken(RAW.encode())):
        assert token == same
        assert same == token
        assert not token != same  # noqa: SIM202
    for other in (None, 1, "", b"", "3|", RAW[:-2], RAW[::-1]):
        assert token != other
        assert not token == other  # noqa: SIM201
