"""Signing in at an OpenID 2.0 provider: a small one, but a real one, on a server of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from openid_provider import AX, BEN, EMAIL, NS, Provider
from support import Response, Server, running_server
from typhoon.auth import AuthDeniedError, AuthError, AuthProviderError, AuthStateError, OpenIdMixin
from typhoon.httpclient import AsyncHTTPClient
from typhoon.web import Application, RequestHandler
from visits import location, visit

pytestmark = pytest.mark.filterwarnings("ignore:OpenIdMixin is deprecated:DeprecationWarning")


class Login(RequestHandler, OpenIdMixin):
    def initialize(self, endpoint: str) -> None:
        self._OPENID_ENDPOINT = endpoint

    async def get(self) -> None:
        if not self.get_argument("openid.mode", None):
            self.authenticate_redirect()
            return
        try:
            user = await self.get_authenticated_user()
        except AuthError as error:
            self.set_status(403)
            self.write(str(error))
        else:
            self.write(user)

    post = get


Serve = Callable[..., Server]


@pytest.fixture
def provider() -> Iterator[str]:
    with running_server(Application([("/openid", Provider)])) as server:
        yield server.url("/openid")


@pytest.fixture
def site(serve: Serve, provider: str) -> Server:
    return serve(Application([("/login", Login, {"endpoint": provider})]))


def follow(answer: Response) -> Response:
    """Do what a browser does with a redirect."""
    return visit(location(answer))


def come_back(
    site: Server, change: Callable[[dict[str, str]], Any] | None = None, target: str = "/login"
) -> Response:
    """Sign in at the provider, and come back with what it says, or something else."""
    back = urlsplit(follow(visit(site.url("/login"))).header("Location"))
    arguments = dict(parse_qsl(back.query))
    if change is not None:
        change(arguments)
    return visit(site.url(target) + "?" + urlencode(arguments))


def test_signing_in(site):
    answer = follow(follow(visit(site.url("/login"))))
    assert answer.status == 200
    assert json.loads(answer.body) == BEN


def test_the_page_keeps_its_arguments_and_not_those_of_a_provider(site):
    page = site.url("/login?a=1&b=%C3%A9&openid.ns=x&openid%2Ex=y")
    asked = parse_qs(urlsplit(visit(page).header("Location")).query)
    assert asked["openid.return_to"] == [site.url("/login?a=1&b=%C3%A9")]
    assert asked["openid.realm"] == [site.url("/")]
    assert follow(follow(visit(page))).status == 200


def test_an_answer_that_comes_as_a_form(site):
    location = follow(visit(site.url("/login"))).header("Location")
    url, _, query = location.partition("?")
    assert json.loads(visit(url, query.encode()).body) == BEN


def test_what_is_asked_for(serve):
    class Handler(RequestHandler, OpenIdMixin):
        _OPENID_ENDPOINT = "https://id.example.com/openid?a=b"

        def get(self) -> None:
            self.authenticate_redirect("/back", ax_attrs=["email"])

        def post(self) -> None:
            self.authenticate_redirect("https://other.example.com/x/y", ax_attrs=[])

    site = serve(Application([("/.*", Handler)]))
    location = site.get("//evil.example.com/").header("Location")
    assert location.startswith("https://id.example.com/openid?a=b&openid.ns=")
    assert parse_qs(urlsplit(location).query) == {
        "a": ["b"],
        "openid.ns": [NS],
        "openid.mode": ["checkid_setup"],
        "openid.claimed_id": [NS + "/identifier_select"],
        "openid.identity": [NS + "/identifier_select"],
        "openid.return_to": ["http://localhost/back"],
        "openid.realm": ["http://localhost/"],
        "openid.ns.ax": [AX],
        "openid.ax.mode": ["fetch_request"],
        "openid.ax.type.email": [EMAIL],
        "openid.ax.required": ["email"],
    }
    asked = parse_qs(urlsplit(site.post("/", b"").header("Location")).query)
    assert asked["openid.return_to"] == ["https://other.example.com/x/y"]
    assert asked["openid.realm"] == ["https://other.example.com/"]
    assert "openid.ns.ax" not in asked


def test_a_page_that_looks_like_another_site(site):
    asked = parse_qs(urlsplit(site.get("//evil.com/login").header("Location") or "").query)
    assert asked == {}  # no such page
    answer = site.get("/login", {"Host": "site.example.com"})
    asked = parse_qs(urlsplit(answer.header("Location")).query)
    assert asked["openid.return_to"] == ["http://site.example.com/login"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"openid.mode": "cancel"}, "The user did not sign in"),
        ({"openid.mode": "setup_needed"}, "The user did not sign in"),
        ({"openid.claimed_id": "https://id.example.com/eve"}, "The provider did not sign this"),
        ({"openid.ext1.value.a3": "eve@example.com"}, "The provider did not sign this"),
        ({"openid.sig": "AAAA"}, "The provider did not sign this"),
        ({"openid.sig": None}, "The provider did not sign this"),
        ({"openid.signed": None}, "The provider did not sign this"),
        ({"openid.signed": "op_endpoint"}, "The provider did not sign openid.return_to"),
        ({"openid.signed": "return_to"}, "The provider did not sign openid.claimed_id"),
        ({"openid.return_to": None}, "did not say for whom this answer is"),
        ({"openid.return_to": "http://evil.example.com/login"}, "and not for this page"),
        ({"openid.return_to": "http://["}, "is no URL"),
    ],
)
def test_a_forged_answer(site, change, message):
    def forge(arguments: dict[str, str]) -> None:
        for name, value in change.items():
            if value is None:
                del arguments[name]
            else:
                arguments[name] = value

    answer = come_back(site, forge)
    assert answer.status == 403
    assert message in answer.text


def test_what_is_not_signed_does_not_count(site):
    def add(arguments: dict[str, str]) -> None:
        arguments["openid.ext1.type.eve"] = "http://axschema.org/namePerson/friendly"
        arguments["openid.ext1.value.eve"] = "eve"
        arguments["openid.ns.evil"] = AX

    assert json.loads(come_back(site, add).body) == BEN


def test_an_answer_is_good_once(site):
    location = follow(visit(site.url("/login"))).header("Location")
    assert visit(location).status == 200
    assert visit(location).status == 403


def test_an_answer_for_another_page_or_site(serve, provider):
    rules = [("/login", Login, {"endpoint": provider}), ("/other", Login, {"endpoint": provider})]
    first, second = serve(Application(rules)), serve(Application(rules))
    answer = come_back(first, target="/other")
    assert (answer.status, "and not for this page" in answer.text) == (403, True)
    location = follow(visit(first.url("/login?a=1"))).header("Location")
    for elsewhere in (
        location.replace(f":{first.port}/login?", f":{second.port}/login?"),
        location.replace("login?a=1&", "login?"),
        location.replace("login?a=1&", "login?a=2&"),
    ):
        answer = visit(elsewhere)
        assert (answer.status, "and not for this page" in answer.text) == (403, True)
    assert visit(location).status == 200


def test_arguments_that_come_twice_or_are_no_text(site):
    for query in ("openid.mode=id_res&openid.mode=cancel", "openid.mode=%FF"):
        answer = visit(site.url("/login?" + query))
        assert answer.status in (400, 403)
    assert visit(site.url("/login?openid.mode=x&openid.a=1&openid.a=2")).status == 403
    assert visit(site.url("/login?openid.mode=x&openid.a=%FF")).status == 403


@pytest.mark.parametrize(
    ("arguments", "user"),
    [
        ({}, {}),
        (
            {"value.e": "a@b", "count.e": "1"},
            {"email": "a@b", "name": "a"},
        ),
        ({"value.e.1": "a@b", "value.e.2": "c@d", "count.e": "2"}, {"email": "a@b", "name": "a"}),
        ({"type.n": "http://axschema.org/namePerson", "value.n": "Ben B"}, {"name": "Ben B"}),
        ({"type.n": "http://axschema.org/namePerson", "value.n": ""}, {}),
    ],
)
def test_names_of_attributes(serve, arguments, user):
    class Trusting(RequestHandler):
        def post(self) -> None:
            self.write(b"is_valid:true\r\n")

    trusting = serve(Application([("/", Trusting)]))
    site = serve(Application([("/login", Login, {"endpoint": trusting.url("/")})]))
    fields = {"openid.mode": "id_res", "openid.ns.z": AX, "openid.z.type.e": EMAIL}
    fields |= {f"openid.z.{name}": value for name, value in arguments.items()}
    assert json.loads(visit(site.url("/login?" + urlencode(fields))).body) == user


@pytest.mark.parametrize("body", [b"is_valid:false\n", b"x_is_valid:true", b"is_valid:true1", b""])
def test_a_provider_that_says_no(serve, body):
    class Denying(RequestHandler):
        def post(self) -> None:
            self.write(body)

    denying = serve(Application([("/", Denying)]))
    site = serve(Application([("/login", Login, {"endpoint": denying.url("/")})]))
    assert visit(site.url("/login?openid.mode=id_res")).status == 403


def test_a_client_of_ones_own(serve, provider):
    used = []

    class Own(Login):
        def get_auth_http_client(self) -> AsyncHTTPClient:
            used.append(self)
            return super().get_auth_http_client()

    site = serve(Application([("/login", Own, {"endpoint": provider})]))
    assert json.loads(follow(follow(visit(site.url("/login")))).body) == BEN
    assert len(used) == 1


def test_it_is_deprecated(serve):
    class Handler(RequestHandler, OpenIdMixin):
        _OPENID_ENDPOINT = "https://id.example.com/"

        def get(self) -> None:
            with pytest.warns(DeprecationWarning, match="replaced by OpenID Connect") as warned:
                self.authenticate_redirect()
            assert warned[0].filename == __file__

    assert serve(Application([("/", Handler)])).get("/").status == 302


def test_statuses_of_errors_that_nobody_catches(serve, provider):
    class Uncaught(Login):
        async def get(self) -> None:
            self.write(await self.get_authenticated_user())

    site = serve(Application([("/login", Uncaught, {"endpoint": provider})]))
    for query, status in (("cancel", 403), ("id_res", 400), ("id_res&openid.signed=a", 400)):
        assert visit(site.url("/login?openid.mode=" + query)).status == status
    assert issubclass(AuthDeniedError, AuthError)
    assert issubclass(AuthStateError, AuthError)


def test_a_provider_that_cannot_be_asked(serve):
    class Unanswered(Login):
        async def get(self) -> None:
            with pytest.raises(AuthProviderError, match="did not answer"):
                await self.get_authenticated_user()
            self.write("told")

    rules = [("/login", Unanswered, {"endpoint": "http://127.0.0.1:9/"})]
    assert serve(Application(rules)).get("/login?openid.mode=id_res").text == "told"


def test_attributes_that_are_not_known(serve):
    class Handler(RequestHandler, OpenIdMixin):
        _OPENID_ENDPOINT = "https://id.example.com/"

        def get(self) -> None:
            with pytest.raises(ValueError, match="name, email, language, username, not 'age'"):
                self.authenticate_redirect(ax_attrs=["email", "age"])
            self.write("told")

    assert serve(Application([("/", Handler)])).get("/").text == "told"
