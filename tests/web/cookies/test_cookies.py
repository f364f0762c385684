"""Plain cookies."""

from __future__ import annotations

import datetime
import email.utils
import http.cookies
import json
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


def test_what_expires_when(serve):
    def act(handler: RequestHandler) -> None:
        handler.set_cookie("a", "1", expires=0, expires_days=10)
        handler.set_cookie("b", "1", expires_days=-0.5)

    first, second = answer_to(serve, act).header_list("Set-Cookie")
    assert first == "a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"
    expires = email.utils.parsedate_to_datetime(second.split("expires=")[1].split(";")[0])
    age = datetime.datetime.now(datetime.UTC) - expires
    assert abs(age - datetime.timedelta(hours=12)) < datetime.timedelta(minutes=1)


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


@pytest.mark.parametrize("attribute", ["domain", "path", "samesite", "comment", "DoMaIn"])
@pytest.mark.parametrize("value", ["a; Secure", "a\r\nX: 1", "a\0", "a\x7f"])
def test_an_attribute_cannot_break_out(serve, attribute, value):
    def act(handler: RequestHandler) -> None:
        with pytest.raises(ValueError, match=f"Invalid cookie attribute {attribute}"):
            handler.set_cookie("a", "1", **{attribute: value})
        # The older name of this error.
        with pytest.raises(http.cookies.CookieError):
            handler.set_cookie("a", "1", **{attribute: value})

    answer = answer_to(serve, act)
    assert answer.status == 200
    assert answer.header_list("Set-Cookie") == []


@pytest.mark.parametrize("max_age", ["1; Path=/x", "x", "1\r\nX: 1"])
def test_a_max_age_that_is_no_number(serve, max_age):
    answer = answer_to(serve, lambda handler: handler.set_cookie("a", "1", max_age=max_age))
    assert answer.status == 500
    assert answer.header_list("Set-Cookie") == []


@pytest.mark.parametrize("name", ["path", "Expires", "samesite"])
def test_a_name_that_cannot_be_read_again(serve, name):
    answer = answer_to(serve, lambda handler: handler.set_cookie(name, "1"))
    assert answer.status == 500


@pytest.mark.parametrize(
    ("name", "keywords", "attributes"),
    [
        ("a", {"samesite": "none", "secure": True}, "Path=/; SameSite=none; Secure"),
        ("a", {"samesite": "Lax"}, "Path=/; SameSite=Lax"),
        ("a", {"partitioned": True, "secure": True}, "Partitioned; Path=/; Secure"),
        ("a", {"partitioned": False, "httponly": 0, "secure": None}, "Path=/"),
        ("__Secure-a", {"secure": True, "domain": "x.org"}, "Domain=x.org; Path=/; Secure"),
        ("__Host-a", {"secure": True}, "Path=/; Secure"),
        ("__Http-a", {"secure": True, "httponly": True}, "HttpOnly; Path=/; Secure"),
        ("__Host-Http-a", {"secure": True, "httponly": True}, "HttpOnly; Path=/; Secure"),
        ("__Hosta", {}, "Path=/"),
        ("a", {"path": "", "version": 1}, "Version=1"),
    ],
)
def test_attributes_that_depend_on_each_other(serve, name, keywords, attributes):
    answer = answer_to(serve, lambda handler: handler.set_cookie(name, "1", **keywords))
    assert answer.header("Set-Cookie") == f"{name}=1; {attributes}"


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("a", {"samesite": "None"}, "add secure=True"),
        ("a", {"samesite": "nonsense"}, "is not 'Strict', 'Lax' or 'None'"),
        ("a", {"samesite": True}, "is not 'Strict', 'Lax' or 'None'"),
        ("a", {"partitioned": True}, "add secure=True"),
        ("__Secure-a", {}, "its prefix demands secure=True"),
        ("__sEcUrE-a", {}, "its prefix demands secure=True"),
        ("__Host-a", {"path": "/"}, "its prefix demands secure=True"),
        ("__Host-a", {"secure": True, "path": "/a"}, "its prefix demands path='/'"),
        ("__Host-a", {"secure": True, "path": None}, "its prefix demands path='/'"),
        ("__Host-a", {"secure": True, "domain": "x.org"}, "its prefix forbids a domain"),
        ("__Http-a", {"secure": True}, "its prefix demands httponly=True"),
        ("__Host-Http-a", {"secure": True}, "its prefix demands httponly=True"),
        ("a", {"domain": "é.org"}, "write a domain in its IDNA form"),
        ("a", {"path": "/" + "a" * 1024}, "browsers ignore attributes of more than 1024"),
    ],
)
def test_what_browsers_would_ignore_is_an_error(serve, name, keywords, message):
    def act(handler: RequestHandler) -> None:
        with pytest.raises(ValueError, match=message):
            handler.set_cookie(name, "1", **keywords)

    answer = answer_to(serve, act)
    assert answer.status == 200
    assert answer.header_list("Set-Cookie") == []


def test_a_cookie_that_is_too_long(serve):
    def act(handler: RequestHandler) -> None:
        handler.set_cookie("abcdef", "x" * 4090)
        with pytest.raises(ValueError, match="would have 4097 bytes"):
            handler.set_cookie("abcdef", "x" * 4091)
        # What counts is what is sent.
        with pytest.raises(ValueError, match="would have"):
            handler.set_cookie("abcdef", ";" * 2000)

    answer = answer_to(serve, act)
    assert answer.status == 200
    assert answer.header("Set-Cookie") == "abcdef=" + "x" * 4090 + "; Path=/"


def test_attributes_in_capitals_are_deprecated(serve):
    def act(handler: RequestHandler) -> None:
        with pytest.warns(DeprecationWarning, match="HttpOnly .* is deprecated: write httponly"):
            handler.set_cookie("a", "1", HttpOnly=True)
        with pytest.warns(DeprecationWarning, match="is deprecated") as warned:
            handler.set_cookie("b", "1", pATH="/foo", Max_Age=3, secure=False)
        assert {warning.filename for warning in warned} == {__file__}

    answer = answer_to(serve, act)
    assert answer.header_list("Set-Cookie") == [
        "a=1; HttpOnly; Path=/",
        "b=1; Max-Age=3; Path=/foo",
    ]


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


def test_clearing_cookies_that_no_browser_keeps(serve):
    header = "a=1; " + "b" * 5000 + "=1"
    answer = answer_to(serve, lambda handler: handler.clear_all_cookies(), header)
    assert answer.status == 200
    assert [cookie[0] for cookie in answer.header_list("Set-Cookie")] == ["a"]


def test_cookies_in_several_headers(serve):
    """A proxy may hand on those of HTTP/2 as they came (RFC 9113 §8.2.3)."""

    class Cookies(RequestHandler):
        def get(self) -> None:
            self.write({name: morsel.value for name, morsel in self.cookies.items()})

    with serve(Application([("/", Cookies)])).connect() as client:
        answer = client.request("GET", "/", [("Cookie", "a=1; b=2"), ("Cookie", "c=3")])
    assert json.loads(answer.body) == {"a": "1", "b": "2", "c": "3"}


def test_clearing_cookies_with_prefixes(serve):
    """The request does not say how they were set; what their names demand is known."""
    names = ["a", "__Host-b", "__Secure-c", "__Host-Http-d"]
    answer = answer_to(
        serve,
        lambda handler: handler.clear_all_cookies(path="/p", domain="x.org"),
        "; ".join(f"{name}=1" for name in names),
    )
    cleared = {}
    for cookie in answer.header_list("Set-Cookie"):
        name, *attributes = cookie.split("; ")
        cleared[name] = [part for part in attributes if not part.startswith("expires=")]
    assert cleared == {
        'a=""': ["Domain=x.org", "Path=/p"],
        '__Host-b=""': ["Path=/", "Secure"],
        '__Secure-c=""': ["Domain=x.org", "Path=/p", "Secure"],
        '__Host-Http-d=""': ["HttpOnly", "Path=/", "Secure"],
    }


class Signed(RequestHandler):
    def get(self) -> None:
        version = self.get_signed_cookie_key_version("a")
        self.write({"a": (self.get_signed_cookie("a") or b"").decode(), "version": version})

    def post(self) -> None:
        self.set_signed_cookie("a", self.request.body, expires_days=None, samesite="Lax")


def signed_cookie(server) -> str:
    cookie, *attributes = server.post("/", b"x; y").header("Set-Cookie").split("; ")
    assert attributes == ["Path=/", "SameSite=Lax"]
    return cookie


def test_signed_cookies(serve):
    server = serve(Application([("/", Signed)], cookie_secret="secret"))
    cookie = signed_cookie(server)
    assert json.loads(server.get("/", {"Cookie": cookie}).body) == {"a": "x; y", "version": 0}
    assert json.loads(server.get("/").body) == {"a": "", "version": None}
    forged = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
    assert json.loads(server.get("/", {"Cookie": forged}).body)["a"] == ""
    other = cookie.replace("a=", "b=", 1) + "; a=1"
    assert json.loads(server.get("/", {"Cookie": other}).body)["a"] == ""


def test_signed_cookies_while_the_secret_is_changed(serve):
    first = serve(Application([("/", Signed)], cookie_secret={1: "old"}, key_version=1))
    both = {1: "old", 2: "new"}
    second = serve(Application([("/", Signed)], cookie_secret=both, key_version=2))
    third = serve(Application([("/", Signed)], cookie_secret={2: "new"}, key_version=2))
    old, new = signed_cookie(first), signed_cookie(second)
    seen = [
        json.loads(server.get("/", {"Cookie": cookie}).body)
        for server, cookie in ((second, old), (second, new), (third, old), (third, new))
    ]
    assert seen == [
        {"a": "x; y", "version": 1},
        {"a": "x; y", "version": 2},
        {"a": "", "version": 1},
        {"a": "x; y", "version": 2},
    ]


def test_signed_values_elsewhere_than_in_cookies(serve):
    def act(handler: RequestHandler) -> None:
        for version in (None, 1, 2):
            value = handler.create_signed_value("a", "1", version=version).decode()
            assert handler.get_signed_cookie("a", value) == b"1"
            assert handler.get_signed_cookie("b", value) is None
        assert handler.get_signed_cookie("a", value, max_age_days=-1) is None
        value = handler.create_signed_value("a", "1", version=1).decode()
        assert handler.get_signed_cookie("a", value, min_version=2) is None

    class Handler(RequestHandler):
        def get(self) -> None:
            act(self)

    assert serve(Application([("/", Handler)], cookie_secret="s")).get("/").status == 200


def test_the_older_names_of_signed_cookies(serve):
    def act(handler: RequestHandler) -> None:
        handler.set_secure_cookie("a", "1", expires_days=3, version=2)
        value = handler.create_signed_value("a", "1").decode()
        assert handler.get_secure_cookie("a", value) == b"1"
        assert handler.get_secure_cookie_key_version("a", value) == 0

    class Handler(RequestHandler):
        def get(self) -> None:
            act(self)

    answer = serve(Application([("/", Handler)], cookie_secret="s")).get("/")
    assert answer.header("Set-Cookie").startswith('a="2|1:0|')


@pytest.mark.parametrize(
    "act",
    [
        lambda handler: handler.set_signed_cookie("a", "1"),
        lambda handler: handler.get_signed_cookie("a"),
        lambda handler: handler.get_signed_cookie_key_version("a"),
        lambda handler: handler.create_signed_value("a", "1"),
    ],
)
def test_signed_cookies_without_a_secret(serve, act):
    class Handler(RequestHandler):
        def get(self) -> None:
            with pytest.raises(Exception, match="define the 'cookie_secret' setting"):
                act(self)

    assert serve(Application([("/", Handler)])).get("/").status == 200
