"""The keys that a provider signs with (RFC 7517)."""

from dataclasses import dataclass
from typing import Any

from typhoon.auth.errors import AnsweredProviderError
from typhoon.auth.openidconnect.fetching import fetch_json, lifetime
from typhoon.httpclient import AsyncHTTPClient

MAX_KEYS = 100
"""Of a set. Providers have two or three; Microsoft about ten."""

ALGORITHMS = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "EdDSA": "OKP",
}
"""The algorithms of RFC 7518 and 8037 that have a public key, with the type of that key.

With the others, whoever knows the provider's public keys could sign (HS256), or anybody (none).
"""


@dataclass(frozen=True, slots=True)
class KeySet:
    """What the provider has published, as far as it is for signatures."""

    keys: tuple[dict[str, Any], ...]

    def fitting(self, header: dict[str, Any]) -> list[dict[str, Any]]:
        """The keys that may have made a signature with this header."""
        algorithm = header["alg"]
        name = header.get("kid")
        return [
            key
            for key in self.keys
            if key.get("kty") == ALGORITHMS[algorithm]
            and key.get("alg", algorithm) == algorithm
            and (name is None or key.get("kid") == name)
        ]


async def fetch_keys(client: AsyncHTTPClient, url: str) -> tuple[KeySet, float | None]:
    """Fetch a set of keys, and for how many seconds it holds."""
    answer = await fetch_json(client, url, "The provider's set of keys")
    keys = answer.document.get("keys")
    if answer.status != 200 or not isinstance(keys, list):
        raise AnsweredProviderError(f"There are no keys at {url}: its status is {answer.status}")
    if len(keys) > MAX_KEYS:
        raise AnsweredProviderError(f"{url} has {len(keys)} keys; at most {MAX_KEYS} are read")
    return KeySet(tuple(key for key in keys if _is_for_signatures(key))), lifetime(answer.headers)


def _is_for_signatures(key: object) -> bool:
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return False
    operations = key.get("key_ops")
    return operations is None or (isinstance(operations, list) and "verify" in operations)
