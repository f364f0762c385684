"""Plain cookies."""

from __future__ import annotations

import datetime
import email.utils
from typing import Any

import pytest

from typhoon.web import Application, RequestHandler


def answer_to(serve, action, cookie: str | None = None) -> Any:
    class Handler(RequestHandler):
        def get(self) -> None:
            action(self)

    headers = {"Cookie": cookie} if cookie is not None else {}
    return serve(Application([("/", Handler)])).get("/", headers)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("a=1", "1"),
        ("b=2; a=1; c=3", "1"),
        ("a=1;b=2", "1"),
        ('a="quoted value"', "quoted value"),
        (r'a="esc\"aped\054\\"', 'esc"aped,\\'),
        ("a=x=y", "x=y"),
        ("a=", ""),
        ("b=1", None),
        ("", None),
        ("nonsense; a=1", "1"),
        ("bad name=1; a=1", "1"),
        ("[bad]=1; a=1", "1"),
        ("a=first; a=last", "last"),
    ],
)
def test_get_cookie(serve, header, value):
    def act(handler: RequestHandler) -> None:
        assert handler.get_cookie("a") == value
        assert handler.get_cookie("a", "default") == ("default" if value is None else value)
        assert ("a" in handler.cookies) == (value is not None)
        if value is not None:
            assert handler.cookies["a"].value == value

    assert answer_to(serve, act, header).status == 200


def test_many_cookies_are_read_in_no_time(serve):
    header = "; ".join(f"n{number}=" + '"' + "\\" * 20 + '"' for number in range(1500))
    assert answer_to(serve, lambda h: h.write(str(len(h.cookies))), header).text == "1500"


@pytest.mark.parametrize(
    ("arguments", "keywords", "cookie"),
    [
        (("a", "1"), {}, "a=1; Path=/"),
        (("a", b"1"), {}, "a=1; Path=/"),
        (("a", ""), {}, 'a=""; Path=/'),
        (("a", "semi;colon"), {}, r'a="semi\073colon"; Path=/'),
        (("a", 'quo"te'), {}, r'a="quo\"te"; Path=/'),
        (("a", "1"), {"domain": "example.com"}, "a=1; Domain=example.com; Path=/"),
        (("a", "1"), {"path": "/x"}, "a=1; Path=/x"),
        (("a", "1"), {"path": None}, "a=1"),
        (("a", "1"), {"max_age": 60}, "a=1; Max-Age=60; Path=/"),
        (("a", "1"), {"max_age": 0}, "a=1; Max-Age=0; Path=/"),
        (("a", "1"), {"httponly": True, "secure": True}, "a=1; HttpOnly; Path=/; Secure"),
        (("a", "1"), {"httponly": False, "secure": False}, "a=1; Path=/"),
        (("a", "1"), {"samesite": "Lax"}, "a=1; Path=/; SameSite=Lax"),
        (("a", "1"), {"comment": "c"}, "a=1; Comment=c; Path=/"),
        (
            ("a", "1"),
            {"expires": datetime.datetime(2030, 1, 2, 3, 4, 5)},
            "a=1; expires=Wed, 02 Jan 2030 03:04:05 GMT; Path=/",
        ),
        (("a", "1"), {"expires": 0}, "a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"),
    ],
)
def test_set_cookie(serve, arguments, keywords, cookie):
    answer = answer_to(serve, lambda handler: handler.set_cookie(*arguments, **keywords))
    assert answer.header("Set-Cookie") == cookie


def test_expires_days(serve):
    answer = answer_to(serve, lambda handler: handler.set_cookie("a", "1", expires_days=10))
    attributes = dict(
        part.strip().partition("=")[::2] for part in answer.header("Set-Cookie").split(";")
    )
    expires = email.utils.parsedate_to_datetime(attributes["expires"])
    in_ten_days = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=10)
    assert abs(expires - in_ten_days) < datetime.timedelta(minutes=1)


def test_several_cookies_and_the_last_of_a_name(serve):
    def act(handler: RequestHandler) -> None:
        handler.set_cookie("a", "1", httponly=True)
        handler.set_cookie("b", "2")
        handler.set_cookie("a", "3")

    assert answer_to(serve, act).header_list("Set-Cookie") == ["b=2; Path=/", "a=3; Path=/"]


def test_cookies_are_sent_with_flushed_responses_redirects_and_errors(serve):
    def flushed(handler: RequestHandler) -> None:
        handler.set_cookie("a", "1")
        handler.write("x")
        handler.flush()

    def redirected(handler: RequestHandler) -> None:
        handler.set_cookie("a", "1")
        handler.redirect("/")

    for action in (flushed, redirected):
        assert answer_to(serve, action).header("Set-Cookie") == "a=1; Path=/"


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "a\0b", "a b", "a\tb", "\x7f;\r"])
def test_a_value_cannot_break_out(serve, value):
    answer = answer_to(serve, lambda handler: handler.set_cookie("a", value))
    assert answer.status == 500
    assert answer.header_list("Set-Cookie") == []
    assert answer.header("X") is None


@pytest.mark.parametrize("name", ["a\r\nX", "a b", "a;b", "a=b", "", "é", "a,b"])
def test_a_name_cannot_break_out(serve, name):
    answer = answer_to(serve, lambda handler: handler.set_cookie(name, "1"))
    assert answer.status == 500
    assert answer.header_list("Set-Cookie") == []


@pytest.mark.parametrize("attribute", ["domain", "path", "samesite", "comment"])
@pytest.mark.parametrize("value", ["a; Secure", "a\r\nX: 1", "a\0"])
def test_an_attribute_cannot_break_out(serve, attribute, value):
    answer = answer_to(serve, lambda handler: handler.set_cookie("a", "1", **{attribute: value}))
    assert answer.header("X") is None
    if attribute == "comment" and answer.status == 200:
        # `http.cookies` quotes it.
        assert "; Secure" not in answer.header("Set-Cookie")
        return
    assert answer.status == 500
    assert answer.header_list("Set-Cookie") == []


def test_an_unknown_attribute_is_an_error(serve):
    answer = answer_to(serve, lambda handler: handler.set_cookie("a", "1", colour="red"))
    assert answer.status == 500


def test_a_value_outside_of_ascii_arrives(serve):
    """As the octal escapes of its UTF-8 or Latin-1; what matters is that it is valid."""
    answer = answer_to(serve, lambda handler: handler.set_cookie("a", "é"))
    assert answer.status == 200
    assert answer.header("Set-Cookie").isascii()


def test_clear_cookie(serve):
    answer = answer_to(serve, lambda h: h.clear_cookie("a", path="/x", domain="example.com"))
    cookie = answer.header("Set-Cookie")
    assert cookie.startswith('a=""; Domain=example.com; expires=')
    assert cookie.endswith("; Path=/x")
    expires = email.utils.parsedate_to_datetime(cookie.split("expires=")[1].split(";")[0])
    assert expires < datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("keyword", ["expires", "max_age"])
def test_clear_cookie_takes_no_lifetime(serve, keyword):
    answer = answer_to(serve, lambda handler: handler.clear_cookie("a", **{keyword: 1}))
    assert answer.status == 500


def test_clear_all_cookies(serve):
    answer = answer_to(serve, lambda handler: handler.clear_all_cookies(path="/p"), "a=1; b=2")
    cookies = answer.header_list("Set-Cookie")
    assert [cookie.split(";")[0] for cookie in cookies] == ['a=""', 'b=""']
    assert all(cookie.endswith("Path=/p") for cookie in cookies)
