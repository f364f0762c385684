"""Who is signed in, and where those go who are not."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typhoon.web.errors import refuse_coroutine

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

# A path on this site. Browsers read "//host" and "/\\host" as another one, and skip tabs and line
# breaks wherever they are.
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]*")


class SignInMixin:
    """How a handler knows its user.

    class BaseHandler(RequestHandler):
        def get_current_user(self):
            return self.get_signed_cookie("user")

    class LoginHandler(BaseHandler):
        def post(self):
            ...  # check the password
            self.set_signed_cookie("user", self.get_argument("name"))
            self.redirect(self.get_next_url())
    """

    application: Any
    request: "HTTPServerRequest"

    if TYPE_CHECKING:
        get_argument: Callable[..., str]
        require_setting: Callable[..., None]

    @property
    def current_user(self) -> Any:
        """The user who makes this request; None, or anything else that is false, if unknown.

        `get_current_user` is asked when this is read for the first time. To find out the user with
        `await`, set this in `prepare`:

            async def prepare(self):
                user_id = self.get_signed_cookie("user_id")
                if user_id:
                    self.current_user = await load_user(user_id)
        """
        if not hasattr(self, "_current_user"):
            user = self.get_current_user()
            refuse_coroutine(
                user,
                f"{type(self).__name__}.get_current_user() has to be awaited:"
                " set self.current_user in an async prepare() instead",
            )
            self._current_user = user
        return self._current_user

    @current_user.setter
    def current_user(self, value: Any) -> None:
        self._current_user = value

    def get_current_user(self) -> Any:
        """Override to tell the user, for example from a signed cookie. Cannot be `async`."""
        return None

    def get_login_url(self) -> str:
        """Override to send some users elsewhere than to the setting `login_url`."""
        self.require_setting("login_url", "@typhoon.web.authenticated")
        return str(self.application.settings["login_url"])

    def get_next_url(self, default: str = "/") -> str:
        """Where to go after signing in: the argument `next`, if it is a page of this site.

        That is a path, or an http(s) URL of the same host, which is made a path. Anything else
        gives `default`: following it would let anyone send our users to a site that looks like
        ours.

            self.redirect(self.get_next_url())

        A form without an `action` is sent to its own address, and so hands the argument on.
        """
        url: str = self.get_argument("next", "")
        if "://" in url.partition("?")[0]:
            try:
                parts = urlsplit(url)
            except ValueError:
                return default
            if parts.scheme not in ("http", "https") or parts.netloc != self.request.host:
                return default
            url = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return url if is_local_path(url) else default


def is_local_path(url: str) -> bool:
    """Whether browsers read this as a path of the site that they are on."""
    return _LOCAL_PATH.fullmatch(url) is not None
