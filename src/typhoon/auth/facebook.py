"""Facebook's Graph API, with OAuth 2.0."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

from typhoon.auth.oauth2 import OAuth2Mixin

_FIELDS = ("id", "name", "first_name", "last_name", "locale", "picture", "link")


class FacebookGraphMixin(OAuth2Mixin):
    """Sign-in with a Facebook account, and requests to the Graph API.

    class FacebookHandler(RequestHandler, FacebookGraphMixin):
        _OAUTH_STATE = True

        async def get(self):
            here = "https://www.example.com/login"
            if self.get_argument("code", None):
                user = await self.get_authenticated_user(
                    here, APP_ID, APP_SECRET, self.get_argument("code")
                )
                self.set_signed_cookie("user", user["id"])
                self.redirect("/")
            else:
                self.authorize_redirect(here, APP_ID, scope=["email"])

    Usually the app's ID and secret are kept in the settings `facebook_api_key` and
    `facebook_secret`.
    """

    _OAUTH_AUTHORIZE_URL = "https://www.facebook.com/dialog/oauth"
    _OAUTH_ACCESS_TOKEN_URL = "https://graph.facebook.com/oauth/access_token"  # noqa: S105
    _OAUTH_NO_CALLBACKS = False
    _FACEBOOK_BASE_URL = "https://graph.facebook.com"

    async def get_authenticated_user(
        self,
        redirect_uri: str,
        client_id: str,
        client_secret: str,
        code: str,
        extra_fields: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Get the access token and the user, in the handler that the user comes back to.

        Args:
            redirect_uri: The one given to `authorize_redirect`.
            client_id: The app's ID.
            client_secret: The app's secret.
            code: The request's argument ``code``.
            extra_fields: Names of more fields to ask for.

        Returns:
            ``id``, ``name``, ``first_name``, ``last_name``, ``locale``, ``picture``, ``link`` and
            `extra_fields`, each None if Facebook does not tell it; ``access_token``; and
            ``session_expires``, the seconds that it is good for, as a str.

        Raises:
            AuthStateError: The ``state`` is not the one that this browser was sent away with.
            AuthProviderError: Facebook does not know the code, or does not tell who the user is.
        """
        proof = self._recall()
        url = self._oauth_request_token_url(redirect_uri, client_id, client_secret, code, proof)
        hidden = (client_secret, code, *proof.values())
        response = await self._ask(url, secrets=hidden, follow_redirects=False)
        session = self._token(response, hidden)
        names = list(dict.fromkeys([*_FIELDS, *(extra_fields or ())]))
        # Proves that it is the app that uses the token, and not someone who has stolen it.
        appsecret_proof = hmac.digest(
            client_secret.encode(), session["access_token"].encode(), hashlib.sha256
        ).hex()
        answer = await self.facebook_request(
            "/me",
            access_token=session["access_token"],
            appsecret_proof=appsecret_proof,
            fields=",".join(names),
        )
        user = {name: answer.get(name) for name in names}
        expires = session.get("expires_in")
        user["access_token"] = session["access_token"]
        user["session_expires"] = None if expires is None else str(expires)
        return user

    async def facebook_request(
        self,
        path: str,
        access_token: str | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> Any:
        """Ask the Graph API something: `oauth2_request` with a path such as ``/me/feed``.

        await self.facebook_request(
            "/me/feed",
            post_args={"message": "I am posting from my Typhoon application!"},
            access_token=self.current_user["access_token"],
        )
        """
        url = self._FACEBOOK_BASE_URL + path
        return await self.oauth2_request(url, access_token, post_args, **args)
