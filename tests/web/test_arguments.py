"""Arguments from queries and forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from typhoon.web import Application, HTTPError, MissingArgumentError, RequestHandler

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Arguments(RequestHandler):
    """Answers what one of its methods gives: `?!=[name, arguments, keywords]`."""

    def get(self) -> None:
        name, args, kwargs = json.loads(self.get_query_argument("!"))
        self.write({"result": getattr(self, name)(*args, **kwargs)})

    post = get


@pytest.fixture
def ask(serve):
    """`ask(query, form, method, *args)` calls the method of a handler: its result or the status."""
    client = serve(Application([("/", Arguments)])).connect()

    def call(query: str, form: bytes | None, name: str, *args: Any, **kwargs: Any) -> Any:
        from urllib.parse import quote

        target = f"/?{query}&!={quote(json.dumps([name, args, kwargs]))}"
        answer = client.get(target) if form is None else client.post(target, form, FORM)
        return json.loads(answer.body)["result"] if answer.status == 200 else answer.status

    return call


def test_get_argument(ask):
    assert ask("a=1&b=2", None, "get_argument", "a") == "1"
    assert ask("a=1&a=2", None, "get_argument", "a") == "2"
    assert ask("a=1", None, "get_argument", "b") == 400
    assert ask("a=1", None, "get_argument", "b", "x") == "x"
    assert ask("a=1", None, "get_argument", "b", None) is None
    assert ask("a=1", None, "get_argument", "b", default="") == ""
    assert ask("a=", None, "get_argument", "a", "x") == ""
    assert ask("a", None, "get_argument", "a", "x") in ("", "x")


def test_names_are_case_sensitive(ask):
    assert ask("A=1", None, "get_argument", "a") == 400


def test_strip(ask):
    assert ask("a=%20+x+%0A", None, "get_argument", "a") == "x"
    assert ask("a=+x+", None, "get_argument", "a", strip=False) == " x "
    assert ask("a=+x+&a=y+", None, "get_arguments", "a") == ["x", "y"]
    assert ask("a=+x+&a=y+", None, "get_arguments", "a", False) == [" x ", "y "]
    # A default given by mistake.
    assert ask("a=1", None, "get_arguments", "a", []) == 500


def test_control_characters_become_spaces(ask):
    assert ask("a=x%00y%1Fz%09w", None, "get_argument", "a") == "x y z\tw"


def test_query_and_body_apart_and_together(ask):
    both = ("a=q1&a=q2&c=q", b"a=b1&a=b2&d=b")
    assert ask(*both, "get_arguments", "a") == ["q1", "q2", "b1", "b2"]
    assert ask(*both, "get_argument", "a") == "b2"
    assert ask(*both, "get_query_arguments", "a") == ["q1", "q2"]
    assert ask(*both, "get_query_argument", "a") == "q2"
    assert ask(*both, "get_body_arguments", "a") == ["b1", "b2"]
    assert ask(*both, "get_body_argument", "a") == "b2"
    assert ask(*both, "get_query_argument", "d") == 400
    assert ask(*both, "get_query_argument", "d", None) is None
    assert ask(*both, "get_body_argument", "c") == 400
    assert ask(*both, "get_body_argument", "c", "x") == "x"
    assert ask(*both, "get_body_arguments", "c") == []


def test_decoding(ask):
    assert ask("a=%C3%A9+%E2%82%AC%2B", None, "get_argument", "a") == "é €+"
    assert ask("a=%zz%4", None, "get_argument", "a") == "%zz%4"
    assert ask("a%20b=1", None, "get_argument", "a b") == "1"
    assert ask("x", "é=ü".encode(), "get_body_argument", "Ã©") == "ü"


@pytest.mark.parametrize("value", ["%ff", "%C3", "%ED%A0%80"])
def test_a_value_that_is_not_utf_8_is_a_400(ask, value):
    assert ask(f"a={value}", None, "get_argument", "a") == 400
    assert ask("x", f"a={value}".encode(), "get_arguments", "a") == 400
    assert ask(f"a={value}&b=1", None, "get_argument", "b") == "1"


def test_the_error_for_a_missing_argument(serve, caplog):
    class Handler(RequestHandler):
        def get(self) -> None:
            with pytest.raises(MissingArgumentError) as caught:
                self.get_argument("name")
            assert caught.value.arg_name == "name"
            assert isinstance(caught.value, HTTPError)
            raise caught.value

    assert serve(Application([("/", Handler)])).get("/").status == 400
    assert "Missing argument name" in caplog.text


def test_decode_argument_is_for_arguments_and_groups(serve):
    class Handler(RequestHandler):
        def decode_argument(self, value: bytes, name: str | None = None) -> str:
            return f"{name}:{value.decode('latin-1')}"

        def get(self, group: str) -> None:
            self.write({"group": group, "argument": self.get_argument("a")})

    answer = serve(Application([("/(.*)", Handler)])).get("/%ff?a=%fe")
    assert json.loads(answer.body) == {"group": "None:ÿ", "argument": "a:þ"}


def test_arguments_of_the_request_can_be_changed(serve):
    class Handler(RequestHandler):
        def prepare(self) -> None:
            self.request.arguments["added"] = [b"1"]
            self.request.arguments.setdefault("a", []).append(b"2")

        def get(self) -> None:
            assert self.request.query_arguments == {"a": [b"1"]}
            self.write({"a": self.get_arguments("a"), "added": self.get_argument("added")})

    answer = serve(Application([("/", Handler)])).get("/?a=1")
    assert json.loads(answer.body) == {"a": ["1", "2"], "added": "1"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", ""])
def test_other_bodies_have_no_arguments(serve, content_type):
    class Handler(RequestHandler):
        def post(self) -> None:
            assert self.request.body_arguments == {}
            assert self.request.files == {}
            self.write(self.request.body)

    headers = {"Content-Type": content_type} if content_type else {}
    assert serve(Application([("/", Handler)])).post("/", b"a=1", headers).body == b"a=1"


@pytest.mark.parametrize(
    "content_type", [FORM["Content-Type"] + "; charset=UTF-8", "Application/X-WWW-Form-Urlencoded"]
)
def test_content_types_of_forms(serve, content_type):
    class Handler(RequestHandler):
        def post(self) -> None:
            self.write(self.get_body_argument("a"))

    answer = serve(Application([("/", Handler)])).post("/", b"a=1", {"Content-Type": content_type})
    assert answer.body == b"1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_files(serve, method):
    class Handler(RequestHandler):
        def post(self) -> None:
            (upload,) = self.request.files["file"]
            assert upload["filename"] == upload.filename
            self.write(
                {
                    "name": upload.filename,
                    "type": upload.content_type,
                    "body": upload.body.decode("latin-1"),
                    "field": self.get_body_argument("field"),
                }
            )

        put = patch = delete = post

    body = (
        b'--b\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        b"Content-Type: image/png\r\n\r\n\x00\r\n--\xff\r\n--b--\r\n"
    )
    client = serve(Application([("/", Handler)])).connect()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.request(method, "/", headers, body)
    assert json.loads(answer.body) == {
        "name": "a.bin",
        "type": "image/png",
        "body": "\x00\r\n--\xff",
        "field": "value",
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"nonsense"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n--b--\r\n"),
    ],
)
@pytest.mark.parametrize("read", ["get_argument", "get_body_argument", "get_arguments"])
def test_malformed_forms_are_400_when_they_are_read(serve, content_type, body, read):
    class Handler(RequestHandler):
        def post(self) -> None:
            getattr(self, read)("a")

    server = serve(Application([("/", Handler)]))
    assert server.post("/", body, {"Content-Type": content_type}).status == 400


PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", PART),
        ("multipart/form-data; boundary=b", PART * 101 + b"--b--"),
        ("multipart/form-data; boundary=b", PART.replace(b"name", b"nome") * 50 + b"--b--"),
        ("multipart/form-data; boundary=b", PART.replace(b"; ", b"; x=" + b"y" * 10240 + b"; ")),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 3000 + PART[5:] + b"--b--"),
        ("application/x-www-form-urlencoded", b"&" * 1000),
        ("application/x-www-form-urlencoded", b"a=1&" * 1000),
    ],
)
def test_a_malformed_form_is_400_and_one_line_in_the_log(serve, caplog, content_type, body):
    class Handler(RequestHandler):
        def post(self) -> None:
            self.get_argument("a")

    client = serve(Application([("/", Handler)])).connect()
    answer = client.post("/", body, {"Content-Type": content_type})
    assert answer.status == 400
    (record,) = (record for record in caplog.records if record.name != "typhoon.access")
    assert record.levelname == "WARNING"
    assert "400 POST /" in record.getMessage()
    assert record.exc_info is None
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert client.post("/", PART + b"--b--", form).status == 200, "the connection goes on"


@pytest.mark.parametrize("count", [1, 100])
def test_as_many_parts_as_are_allowed(serve, count):
    class Handler(RequestHandler):
        def post(self) -> None:
            self.write({"count": len(self.get_arguments("a"))})

    form = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = serve(Application([("/", Handler)])).post("/", PART * count + b"--b--", form)
    assert json.loads(answer.body) == {"count": count}
