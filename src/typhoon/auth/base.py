"""What every mixin of this package has."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from typhoon.auth.answers import ask
from typhoon.auth.errors import AnsweredProviderError, AuthProviderError
from typhoon.httpclient import AsyncHTTPClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typhoon.httpclient import HTTPResponse
    from typhoon.httputil import HTTPServerRequest


def form(fields: "Mapping[str, Any]", **headers: str) -> dict[str, Any]:
    """Arguments of `HTTPRequest` that post a form."""
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return {"method": "POST", "headers": headers, "body": urlencode(fields)}


class AuthMixin:
    """The part of a handler that asks another site something."""

    _provider_error: type[AuthProviderError] = AnsweredProviderError

    if TYPE_CHECKING:  # What it uses of the handler that it is mixed into.
        request: HTTPServerRequest
        get_argument: Callable[..., Any]
        get_cookie: Callable[..., Any]
        set_cookie: Callable[..., None]
        clear_cookie: Callable[..., None]
        redirect: Callable[..., None]
        require_setting: Callable[..., None]

        @property
        def settings(self) -> dict[str, Any]: ...

    def get_auth_http_client(self) -> AsyncHTTPClient:
        """The client that asks the other site. Override to use another than the usual one."""
        return AsyncHTTPClient()

    async def _ask(
        self,
        url: str,
        *,
        secrets: "Iterable[str | None]" = (),
        http_client: AsyncHTTPClient | None = None,
        **options: Any,
    ) -> "HTTPResponse":
        client = self.get_auth_http_client() if http_client is None else http_client
        return await ask(client, url, secrets, self._provider_error, **options)

    def _endpoint(self, name: str) -> str:
        """An address that the handler's class has to have as an attribute."""
        url: str | None = getattr(self, name, None)
        if not url:
            raise NotImplementedError(
                f"{type(self).__name__}.{name} is not set: make it an attribute of the class,"
                " with the URL that the provider documents"
            )
        return url

    def _set_auth_cookie(self, name: str, value: str, **attributes: Any) -> None:
        """A cookie of this visit, which comes back when the provider sends the user back."""
        self.set_cookie(
            name,
            value,
            httponly=True,
            # Lax, as the way back is a link from another site.
            samesite="Lax",
            secure=self.request.protocol == "https",
            **attributes,
        )
