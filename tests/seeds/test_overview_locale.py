"""The examples of «Overview»: localization."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seed_examples import URLENCODED, application_of
from support import Server
from typhoon import locale, web

SIGN_IN = """\
<html>
   <head>
      <title>FriendFeed - {{ _("Sign in") }}</title>
   </head>
   <body>
     <form action="{{ request.path }}" method="post">
       <div>{{ _("Username") }} <input type="text" name="username"/></div>
       <div>{{ _("Password") }} <input type="password" name="password"/></div>
       <div><input type="submit" value="{{ _("Sign in") }}"/></div>
       {% module xsrf_form_html() %}
     </form>
   </body>
 </html>
"""

LIKED = """\
{{ _("A person liked this", "%(num)d people liked this",
      len(people)) % {"num": len(people)} }}
"""

SPANISH = """\
"Sign in","Entrar"
"Username","Usuario"
"Password","Contraseña"
"A person liked this","A alguien le gusta esto","singular"
"%(num)d people liked this","A %(num)d personas les gusta esto","plural"
"""

MAIN = """
def main():
    tornado.locale.load_translations(
        os.path.join(os.path.dirname(__file__), "translations"))
    start_server()
"""


@pytest.fixture(autouse=True)
def _no_translations_are_left(tmp_path: Path) -> Iterator[None]:
    yield
    empty = tmp_path / "no translations"
    empty.mkdir()
    locale.load_translations(str(empty))


class SignInHandler(web.RequestHandler):
    def get(self) -> None:
        people = self.get_arguments("person")
        self.write(f"{self.locale.name}: ")
        self.render(self.get_argument("page", "sign-in.html"), people=people)

    def post(self) -> None:
        self.write("welcome, " + self.get_argument("username"))


@pytest.fixture
def server(example: Callable[..., Server], tmp_path: Path) -> Server:
    (tmp_path / "translations").mkdir()
    (tmp_path / "translations" / "es.csv").write_text(SPANISH, "utf-8")
    (tmp_path / "translations" / "fr_CA.csv").write_text('"Sign in","Se connecter"\n')
    (tmp_path / "sign-in.html").write_text(SIGN_IN)
    (tmp_path / "liked.html").write_text(LIKED)
    settings: dict[str, Any] = {"xsrf_cookies": True, "template_path": str(tmp_path)}
    started: list[bool] = []
    source = "import typhoon.locale\n" + MAIN + "\nmain()\n"
    server = example(
        source,
        os=os,
        start_server=lambda: started.append(True),
        application=lambda names: web.Application([("/", SignInHandler)], **settings),
    )
    assert started
    assert set(locale.get_supported_locales()) == {"en_US", "es", "fr_CA"}
    return server


@pytest.mark.parametrize(
    ("accepted", "name", "sign_in", "password"),
    [
        ("es", "Español", "Entrar", "Contraseña"),
        # The closest one counts.
        ("es-GT,en;q=0.5", "Español", "Entrar", "Contraseña"),
        ("de, fr-CA;q=0.8", "Français (Canada)", "Se connecter", "Password"),
        ("en;q=0.9, es;q=0.1", "English (US)", "Sign in", "Password"),
        ("xx", "English (US)", "Sign in", "Password"),
        (None, "English (US)", "Sign in", "Password"),
    ],
)
def test_a_localized_template(
    server: Server, accepted: str | None, name: str, sign_in: str, password: str
) -> None:
    headers = {"Accept-Language": accepted} if accepted else {}
    page = server.get("/", headers)
    assert page.text.startswith(name + ": ")
    assert f"<title>FriendFeed - {sign_in}</title>" in page.text
    assert f"<div>{password} <input" in page.text
    assert '<form action="/" method="post">' in page.text
    cookie = (page.header("Set-Cookie") or "").split(";")[0]
    token = page.text.partition('name="_xsrf" value="')[2].partition('"')[0]
    body = f"username=ana&_xsrf={token}".encode()
    answer = server.post("/", body, {**URLENCODED, "Cookie": cookie})
    assert answer.text == "welcome, ana"


@pytest.mark.parametrize(
    ("accepted", "people", "text"),
    [
        ("en", ["a"], "A person liked this"),
        ("en", ["a", "b"], "2 people liked this"),
        ("en", [], "0 people liked this"),
        ("es", ["a"], "A alguien le gusta esto"),
        ("es", ["a", "b", "c"], "A 3 personas les gusta esto"),
        ("fr-CA", ["a"], "A person liked this"),
    ],
)
def test_singular_and_plural(server: Server, accepted: str, people: list[str], text: str) -> None:
    query = "&".join(["page=liked.html", *(f"person={person}" for person in people)])
    assert text in server.get("/?" + query, {"Accept-Language": accepted}).text


USER_LOCALE = """
class BaseHandler(tornado.web.RequestHandler):
    def get_current_user(self):
        user_id = self.get_secure_cookie("user")
        if not user_id: return None
        return self.backend.get_user_by_id(user_id)

    def get_user_locale(self):
        if "locale" not in self.current_user.prefs:
            # Use the Accept-Language header
            return None
        return self.current_user.prefs["locale"]
"""


class Backend:
    """The example's database of users."""

    users = {
        b"ana": SimpleNamespace(name="Ana", prefs={"locale": "es"}),
        b"ben": SimpleNamespace(name="Ben", prefs={}),
    }

    def get_user_by_id(self, user_id: bytes) -> SimpleNamespace:
        return self.users[user_id]


SHOWING = """
class SettingsHandler(BaseHandler):
    backend = backend

    def get(self):
        self.write(self.current_user.name + ": " + self.locale.translate("Sign in"))
"""


@pytest.mark.parametrize(("user", "text"), [("ana", "Ana: Entrar"), ("ben", "Ben: Se connecter")])
def test_the_locale_that_the_user_has_chosen(
    example: Callable[..., Server], server: Server, user: str, text: str
) -> None:
    secret = "a secret of this test"
    page = example(
        USER_LOCALE + SHOWING,
        backend=Backend(),
        application=application_of("/", "SettingsHandler", cookie_secret=secret),
    )
    signed = web.create_signed_value(secret, "user", user).decode()
    headers = {"Cookie": f'user="{signed}"', "Accept-Language": "fr-CA"}
    assert page.get("/", headers).text == text
