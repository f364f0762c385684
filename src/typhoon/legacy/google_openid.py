"""`typhoon.auth.GoogleMixin`: sign-in at Google from when it was an OpenID 2.0 provider."""

import asyncio
from collections.abc import Callable
from typing import Any

from typhoon.auth.errors import AuthError
from typhoon.auth.openid import OpenIdMixin
from typhoon.httpclient import AsyncHTTPClient, HTTPClientError
from typhoon.ioloop import IOLoop
from typhoon.log import gen_log

User = dict[str, Any]


class GoogleMixin(OpenIdMixin):
    """`OpenIdMixin` with a callback, and with the address where Google was an OpenID provider.

    Google has answered nothing there since 2015; set `_OPENID_ENDPOINT` to a provider of today.
    """

    application: Any
    _OPENID_ENDPOINT = "https://www.google.com/accounts/o8/ud"

    def get_authenticated_user(  # type: ignore[override]
        self,
        callback: Callable[[User | None], object] | None = None,
        http_client: AsyncHTTPClient | None = None,
    ) -> "asyncio.Task[User]":
        """As `OpenIdMixin`'s, or with a callback that gets the user; None if there is none.

        Await what it returns instead, in an ``async def`` method.
        """
        task = asyncio.ensure_future(super().get_authenticated_user(http_client))
        if callback is not None:
            tasks: set[asyncio.Task[Any]] = self.application._tasks
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            _call_when_known(task, callback)
        return task


def _call_when_known(task: "asyncio.Task[User]", callback: Callable[[User | None], object]) -> None:
    def answer(done: "asyncio.Task[User]") -> None:
        if done.cancelled():
            return
        try:
            user = done.result()
        except (AuthError, HTTPClientError, OSError) as error:
            gen_log.warning("Nobody has been signed in: %s", error)
            callback(None)
        else:
            callback(user)

    IOLoop.current().add_future(task, answer)
