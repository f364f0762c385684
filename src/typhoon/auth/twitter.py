"""Twitter's accounts and API, with OAuth 1.0a."""

from collections.abc import Mapping
from typing import Any

from typhoon.auth.oauth1 import OAuthMixin


class TwitterMixin(OAuthMixin):
    """Sign-in with a Twitter (X) account, and requests to its API.

    Register the site at https://developer.x.com, with the address of the handler as a callback,
    and put API key and secret into the settings ``twitter_consumer_key`` and
    ``twitter_consumer_secret``:

        class TwitterHandler(RequestHandler, TwitterMixin):
            async def get(self):
                if self.get_argument("oauth_token", None):
                    user = await self.get_authenticated_user()
                    self.set_signed_cookie("user", user["username"])
                    self.redirect("/")
                else:
                    await self.authenticate_redirect()

    `get_authenticated_user` returns all that Twitter tells of the user, and ``username``, which is
    the ``screen_name``, and ``access_token``.
    """

    _OAUTH_REQUEST_TOKEN_URL = "https://api.twitter.com/oauth/request_token"  # noqa: S105
    _OAUTH_ACCESS_TOKEN_URL = "https://api.twitter.com/oauth/access_token"  # noqa: S105
    _OAUTH_AUTHORIZE_URL = "https://api.twitter.com/oauth/authorize"
    _OAUTH_AUTHENTICATE_URL = "https://api.twitter.com/oauth/authenticate"
    _OAUTH_NO_CALLBACKS = False
    _TWITTER_BASE_URL = "https://api.twitter.com/1.1"

    async def authenticate_redirect(self, callback_uri: str | None = None) -> None:
        """As `authorize_redirect`, but users who have allowed the access once are not asked again.

        This is what a sign-in wants.
        """
        url = self._endpoint("_OAUTH_AUTHENTICATE_URL")
        await self._redirect_with_request_token(url, callback_uri)

    async def twitter_request(
        self,
        path: str,
        access_token: Mapping[str, Any] | None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> Any:
        """Ask the API something in the user's name.

            await self.twitter_request(
                "/statuses/update",
                post_args={"status": "Testing Typhoon"},
                access_token=user["access_token"],
            )

        Args:
            path: The path below ``_TWITTER_BASE_URL``, without ``.json``; or a whole URL.
            access_token: That of the user, as `get_authenticated_user` gave it; without one, the
                request is not signed.
            post_args: The fields of a form, which makes it a POST.
            args: Parameters for the query.

        Returns:
            The answer, which has to be JSON.

        Raises:
            AuthProviderError: Twitter refuses.
        """
        if path.startswith(("http:", "https:")):
            url = path
        else:
            url = f"{self._TWITTER_BASE_URL}/{path.removeprefix('/')}.json"
        return await self._oauth_request(url, access_token, post_args, args)

    def _oauth_consumer_token(self) -> dict[str, Any]:
        return self._consumer_of_settings("twitter", "TwitterMixin")

    async def _oauth_get_user_future(self, access_token: dict[str, Any]) -> dict[str, Any]:
        user: dict[str, Any] = await self.twitter_request(
            "/account/verify_credentials", access_token=access_token
        )
        if user:
            user["username"] = user["screen_name"]
        return user
