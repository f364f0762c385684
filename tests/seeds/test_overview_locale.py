"""The long overview: localization."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Server
from typhoon import locale, web

PAGE = """\
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
<p>{{ locale.name }}: {{ _("A person liked this", "%(num)d people liked this",
len(people)) % {"num": len(people)} }}</p>
</body>
</html>
"""

SPANISH = """\
"Sign in","Entrar"
"Username","Usuario"
"Password","Contraseña"
"A person liked this","A una persona le gustó esto","singular"
"%(num)d people liked this","A %(num)d personas les gustó esto","plural"
"""

HANDLERS = """
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

class SignInHandler(BaseHandler):
    def get_current_user(self):
        class User:
            prefs = {"locale": self.get_argument("locale")} if "locale=" in self.request.uri else {}
        return User()

    def get(self):
        self.render("signin.html", people=self.get_arguments("person"))
"""

MAIN = """
import os
import tornado.locale

def main():
    tornado.locale.load_translations(
        os.path.join(os.path.dirname(__file__), "translations"))
    start_server()

main()
"""


@pytest.fixture
def _translations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_translations", "_supported_locales", "_use_gettext"):
        monkeypatch.setattr(locale, name, getattr(locale, name))
    monkeypatch.setattr(locale.Locale, "_cache", {})
    (tmp_path / "translations").mkdir()
    (tmp_path / "translations" / "es.csv").write_text(SPANISH, "utf-8")
    (tmp_path / "signin.html").write_text(PAGE, "utf-8")


@pytest.mark.usefixtures("_translations")
def test_a_localized_template(example: Callable[..., Server], tmp_path: Path) -> None:
    def application(names: dict[str, Any]) -> web.Application:
        return web.Application([("/", names["SignInHandler"])], template_path=str(tmp_path))

    server = example(HANDLERS + MAIN, application=application, start_server=int)
    assert set(locale.get_supported_locales()) == {"en_US", "es"}
    english = server.get("/?person=1").text
    assert "<title>FriendFeed - Sign in</title>" in english
    assert "<p>English (US): A person liked this</p>" in english
    spanish = server.get("/?person=1&person=2", {"Accept-Language": "es-GT"}).text
    assert "<div>Contraseña <input" in spanish
    assert "<p>Español: A 2 personas les gustó esto</p>" in spanish
    assert '<input type="hidden" name="_xsrf" value="' in spanish
    chosen = server.get("/?locale=es&person=1", {"Accept-Language": "en"}).text
    assert "A una persona le gustó esto" in chosen
