"""Google's accounts, with OAuth 2.0."""

from typing import Any

from typhoon.auth.oauth2 import OAuth2Mixin


class GoogleOAuth2Mixin(OAuth2Mixin):
    """Sign-in with a Google account.

    Register the site at https://console.cloud.google.com/apis/credentials as an OAuth client for a
    web application, with the address of the handler as a redirect URI, and put client ID and
    secret into the setting ``google_oauth``:

        class GoogleHandler(RequestHandler, GoogleOAuth2Mixin):
            _OAUTH_STATE = _OAUTH_PKCE = True

            async def get(self):
                here = "https://www.example.com/login"
                if self.get_argument("code", None):
                    access = await self.get_authenticated_user(here, self.get_argument("code"))
                    user = await self.oauth2_request(
                        self._OAUTH_USERINFO_URL, access_token=access["access_token"]
                    )
                    self.set_signed_cookie("user", user["id"])
                    self.redirect("/")
                else:
                    self.authorize_redirect(
                        here, self.get_google_oauth_settings()["key"], scope=["profile", "email"]
                    )

        app = Application(…, google_oauth={"key": "CLIENT_ID", "secret": "CLIENT_SECRET"})
    """

    _OAUTH_AUTHORIZE_URL = "https://accounts.google.com/o/oauth2/v2/auth"
    _OAUTH_ACCESS_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105
    _OAUTH_USERINFO_URL = "https://www.googleapis.com/oauth2/v1/userinfo"
    _OAUTH_NO_CALLBACKS = False
    _OAUTH_SETTINGS_KEY = "google_oauth"

    def get_google_oauth_settings(self) -> dict[str, str]:
        """What Google knows this site by: a dict of ``key`` and ``secret``.

        It is the setting ``google_oauth``; override to keep it elsewhere.
        """
        name = self._OAUTH_SETTINGS_KEY
        self.require_setting(name, "GoogleOAuth2Mixin")
        known: dict[str, str] = self.settings[name]
        if not known.get("key") or not known.get("secret"):
            raise RuntimeError(
                f"The setting {name} has to be a dict of client ID and client secret:"
                ' {"key": "CLIENT_ID", "secret": "CLIENT_SECRET"}'
            )
        return known

    async def get_authenticated_user(
        self,
        redirect_uri: str,
        code: str,
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> dict[str, Any]:
        """Exchange the code with which the user came back for an access token.

        Args:
            redirect_uri: The one given to `authorize_redirect`.
            code: The request's argument ``code``.
            client_id: What Google knows this site by; that of `get_google_oauth_settings` if it
                is left out.
            client_secret: As `client_id`.

        Returns:
            What Google gives: ``access_token``, ``expires_in`` (seconds), ``id_token`` and more.
            It says nothing about the user: ask for that with `oauth2_request`.

        Raises:
            AuthError: As `oauth2_token` does.
        """
        if client_id is None or client_secret is None:
            known = self.get_google_oauth_settings()
            client_id = client_id or known["key"]
            client_secret = client_secret or known["secret"]
        return await self.oauth2_token(redirect_uri, code, client_id, client_secret)
