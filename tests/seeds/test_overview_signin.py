"""The example of «Overview»: third party authentication."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openid_provider import Provider
from seed_examples import application_of
from support import Server, running_server
from typhoon.web import Application
from visits import location, visit

GOOGLE = """
class GoogleHandler(tornado.web.RequestHandler, tornado.auth.GoogleMixin):
    @tornado.web.asynchronous
    def get(self):
        if self.get_argument("openid.mode", None):
            self.get_authenticated_user(self._on_auth)
            return
        self.authenticate_redirect()

    def _on_auth(self, user):
        if not user:
            self.authenticate_redirect()
            return
        # Save the user with, e.g., set_secure_cookie()
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore:OpenIdMixin is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:web.asynchronous is deprecated:DeprecationWarning"),
]


@pytest.fixture
def provider() -> Iterator[str]:
    """Google was an OpenID provider until 2015."""
    with running_server(Application([("/openid", Provider)])) as server:
        yield server.url("/openid")


@pytest.fixture
def site(example: Callable[..., Server], provider: str) -> Server:
    def application(names: dict[str, Any]) -> Application:
        names["GoogleHandler"]._OPENID_ENDPOINT = provider
        make = application_of("/login", "GoogleHandler", cookie_secret="a long random text")
        return make(names)

    # What the comment says.
    saving = (
        '        self.set_secure_cookie("user", user["email"])\n'
        '        self.finish("Hello, " + user["name"])\n'
    )
    return example("import typhoon.auth\n" + GOOGLE + saving, application=application)


def test_signing_in(site: Server) -> None:
    there = location(visit(site.url("/login")))
    answer = visit(location(visit(there)))
    assert answer.text == "Hello, Ben Bé & Co"
    assert answer.header("Set-Cookie").startswith("user=2|1:0|")


def test_who_was_not_signed_in_is_sent_there_again(
    site: Server, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = visit(site.url("/login?openid.mode=cancel"))
    assert location(answer).startswith(provider)
    assert "openid.mode=cancel" not in location(answer)
    assert "Nobody has been signed in: The user did not sign in" in caplog.text


def test_it_is_deprecated(site: Server) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        visit(site.url("/login"))
    assert "OpenID Connect" in str(warned[0].message)
