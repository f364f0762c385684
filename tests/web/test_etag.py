"""Entity tags and conditional requests of dynamic pages."""

from __future__ import annotations

import pytest

from typhoon.web import Application, RequestHandler


class Page(RequestHandler):
    def get(self) -> None:
        self.write(self.get_argument("body", "content"))

    head = post = get


@pytest.fixture
def client(serve):
    return serve(Application([("/", Page)])).connect()


def test_the_tag_depends_on_the_content_alone(client):
    first, again, other = (client.get(target) for target in ("/", "/", "/?body=other"))
    assert first.header("Etag") == again.header("Etag") != other.header("Etag")
    tag = first.header("Etag")
    assert tag[0] == tag[-1] == '"'
    assert client.post("/", b"").header("Etag") is None


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"other", {tag}', 304),
        ('"other",W/{tag},"third"', 304),
        ("*", 304),
        ('"other"', 200),
        ("", 200),
        ("nonsense", 200),
        ('"*"', 200),
        ("{bare}", 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_none_match(client, condition, status, method):
    tag = client.get("/").header("Etag")
    headers = {"If-None-Match": condition.format(tag=tag, bare=tag.strip('"'))}
    for _ in range(2):
        answer = client.request(method, "/", headers)
        assert answer.status == status
        assert answer.header("Etag") == tag
    if status == 304:
        assert answer.body == b""
        assert answer.header("Content-Length") is None
        assert answer.header("Content-Type") is None


def test_other_methods_and_statuses_have_no_condition(serve):
    class Handler(RequestHandler):
        def post(self) -> None:
            self.write("x")

        def get(self) -> None:
            self.set_status(404)
            self.write("x")

    client = serve(Application([("/", Handler)])).connect()
    assert client.request("POST", "/", {"If-None-Match": "*"}, b"").status == 200
    answer = client.get("/", {"If-None-Match": "*"})
    assert (answer.status, answer.body, answer.header("Etag")) == (404, b"x", None)


@pytest.mark.parametrize(
    ("own", "condition", "status"),
    [
        (None, "*", 200),
        ('"own"', '"own"', 304),
        ('W/"own"', '"own"', 304),
        ('"own"', '"else"', 200),
    ],
)
def test_compute_etag_can_be_overridden(serve, own, condition, status):
    class Handler(Page):
        def compute_etag(self) -> str | None:
            return own

    answer = serve(Application([("/", Handler)])).get("/", {"If-None-Match": condition})
    assert (answer.status, answer.header("Etag")) == (status, own)


def test_a_condition_can_be_checked_before_the_work(serve):
    class Handler(RequestHandler):
        def compute_etag(self) -> str:
            return '"v1"'

        def get(self) -> None:
            self.set_etag_header()
            if self.check_etag_header():
                self.set_status(304)
                return
            self.write("work")

    client = serve(Application([("/", Handler)])).connect()
    assert client.get("/").text == "work"
    assert client.get("/", {"If-None-Match": '"v1"'}).status == 304


def test_a_hostile_condition_costs_little(client):
    header = 'W/"' * 20_000
    assert client.get("/", {"If-None-Match": header}).status == 200


@pytest.mark.parametrize("tag", ['"mine"', b'"mine"'])
def test_a_tag_of_ones_own_is_text_or_bytes(serve, tag):
    class Tagged(Page):
        def compute_etag(self):
            return tag

    client = serve(Application([("/", Tagged)])).connect()
    assert client.get("/").header("Etag") == '"mine"'
    assert client.get("/", {"If-None-Match": '"mine"'}).status == 304


def test_no_tag(serve):
    class Tagged(Page):
        def compute_etag(self):
            return None

    assert serve(Application([("/", Tagged)])).get("/").header("Etag") is None
