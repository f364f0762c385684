"""What a provider tells of a user who has signed in: OpenID Connect Core 1.0 §5.3."""

from typing import Any

from typhoon.auth.errors import AnsweredProviderError
from typhoon.auth.openidconnect.errors import AuthTokenError, quoted
from typhoon.auth.openidconnect.fetching import fetch_json
from typhoon.httpclient import AsyncHTTPClient


async def fetch_userinfo(
    client: AsyncHTTPClient, url: str, access_token: str, sub: str
) -> dict[str, Any]:
    """The claims; `AuthTokenError` if they are another user's."""
    headers = {"Authorization": f"Bearer {access_token}"}
    answer = await fetch_json(client, url, "What the provider tells of the user", headers=headers)
    if answer.status != 200:
        raise AnsweredProviderError(
            f"{url} answers with the status {answer.status}; OpenIDProvider(userinfo=False) does"
            " without it"
        )
    # §5.3.2: or a stolen token could make one user another.
    if answer.document.get("sub") != sub:
        raise AuthTokenError(f"{url} tells of another user: {quoted(answer.document.get('sub'))}")
    return answer.document
