"""`typhoon.auth.GoogleMixin`: sign-in at Google from when it was an OpenID 2.0 provider."""

from typing import TYPE_CHECKING

from typhoon.auth.openid import OpenIdMixin
from typhoon.legacy.signin_callback import Callback, User, call_when_known, start

if TYPE_CHECKING:
    import asyncio

    from typhoon.httpclient import AsyncHTTPClient


class GoogleMixin(OpenIdMixin):
    """`OpenIdMixin` with a callback, and with the address where Google was an OpenID provider.

    Google has answered nothing there since 2015: set `_OPENID_ENDPOINT` to a provider of today, or
    use `GoogleOAuth2Mixin`.
    """

    _OPENID_ENDPOINT = "https://www.google.com/accounts/o8/ud"

    def get_authenticated_user(  # type: ignore[override]
        self,
        callback: Callback | None = None,
        http_client: "AsyncHTTPClient | None" = None,
    ) -> "asyncio.Task[User]":
        """As `OpenIdMixin`'s, or with a callback that gets the user; None if there is none.

        Await what it returns instead, in an ``async def`` method.
        """
        task = start(self, super().get_authenticated_user(http_client))
        if callback is not None:
            call_when_known(task, callback)
        return task
