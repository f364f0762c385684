"""`typhoon.auth.FriendFeedMixin`: sign-in at FriendFeed, which closed in 2015."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typhoon.auth.oauth1 import OAuthMixin
from typhoon.legacy.signin_callback import Callback, User, call_when_known, start

if TYPE_CHECKING:
    import asyncio

    from typhoon.httpclient import AsyncHTTPClient


class FriendFeedMixin(OAuthMixin):
    """OAuth 1.0 with FriendFeed's addresses and API, and with callbacks.

    The settings ``friendfeed_consumer_key`` and ``friendfeed_consumer_secret`` are what FriendFeed
    knew the site by. It is no more; set the addresses to a service that is like it.
    """

    _OAUTH_VERSION = "1.0"
    _OAUTH_NO_CALLBACKS = True
    _OAUTH_REQUEST_TOKEN_URL = "https://friendfeed.com/account/oauth/request_token"  # noqa: S105
    _OAUTH_ACCESS_TOKEN_URL = "https://friendfeed.com/account/oauth/access_token"  # noqa: S105
    _OAUTH_AUTHORIZE_URL = "https://friendfeed.com/account/oauth/authorize"
    _FRIENDFEED_BASE_URL = "http://friendfeed-api.com/v2"

    def authorize_redirect(  # type: ignore[override]
        self,
        callback_uri: str | None = None,
        extra_params: dict[str, Any] | None = None,
        http_client: "AsyncHTTPClient | None" = None,
    ) -> "asyncio.Task[None]":
        """As `OAuthMixin`'s, and it goes on if nobody awaits it."""
        _warn()
        return start(self, super().authorize_redirect(callback_uri, extra_params, http_client))

    def get_authenticated_user(  # type: ignore[override]
        self, callback: Callback | None = None, http_client: "AsyncHTTPClient | None" = None
    ) -> "asyncio.Task[User]":
        """As `OAuthMixin`'s, or with a callback that gets the user; None if there is none."""
        _warn()
        task = start(self, super().get_authenticated_user(http_client))
        if callback is not None:
            call_when_known(task, callback)
        return task

    def friendfeed_request(
        self,
        path: str,
        callback: Callback | None = None,
        access_token: Mapping[str, Any] | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> "asyncio.Task[Any]":
        """Ask the API something, such as ``/entry``, signed with the user's `access_token`.

        The answer, which has to be JSON, goes to the callback, or to who awaits what this returns;
        None goes to the callback if there is none.
        """
        url = self._FRIENDFEED_BASE_URL + path
        task = start(self, self._oauth_request(url, access_token, post_args, args))
        if callback is not None:
            call_when_known(task, callback, "FriendFeed did not answer")
        return task

    def _oauth_consumer_token(self) -> dict[str, Any]:
        return self._consumer_of_settings("friendfeed", "FriendFeedMixin")

    async def _oauth_get_user_future(self, access_token: dict[str, Any]) -> dict[str, Any]:
        user: dict[str, Any] = await self.friendfeed_request(
            "/feedinfo/" + access_token["username"],
            include="id,name,description",
            access_token=access_token,
        )
        if user:
            user["username"] = user["id"]
        return user


def _warn() -> None:
    warnings.warn(
        "FriendFeedMixin is deprecated: FriendFeed has closed; use OAuthMixin with await",
        DeprecationWarning,
        stacklevel=3,
    )
