"""Digest access authentication, the client's side (RFC 7616, and RFC 2617 and 2069 before it).

| what happens | what is sent |
| --- | --- |
| the first request to a server | nothing: the server says 401 and a nonce |
| 401 to that | the request once more, with the digest of the password and the nonce |
| later requests with the same user name and password | the next count of the same nonce, no 401 |
| 401 to one of those: the nonce is too old | the request once more, with the new nonce |
| 401 to a request with a new nonce | nothing more: it is the response |

The same with a proxy and 407. Of several challenges the one with the strongest algorithm is
answered, of equal ones the first. Nothing here does any input or output.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Callable, Hashable, Iterable
from typing import Final, NamedTuple
from urllib.parse import quote

from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.challenges import parse_challenges

_MAX_SESSIONS: Final = 1000
"""Sessions that a client remembers; what it forgets costs a 401 more."""


def _hash(name: str) -> Callable[[bytes], str] | None:
    """Hexadecimal digests; None if this Python's hashlib does not have the algorithm."""
    try:
        hashlib.new(name, usedforsecurity=False)
    except ValueError:
        return None
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest()


_HASHES: Final = {
    name: function
    for name, function in (
        ("SHA-512-256", _hash("sha512_256")),
        ("SHA-256", _hash("sha256")),
        ("MD5", _hash("md5")),
    )
    if function is not None
}
"""By what they are called in challenges, the strongest first (RFC 7616 §6.1)."""


class Login(NamedTuple):
    """Who authenticates where."""

    space: Hashable
    """Where a user name and password hold: an origin, or a proxy."""
    username: str
    password: str


class DigestChallenge(NamedTuple):
    """A challenge that can be answered. The texts are as HTTP headers have them."""

    realm: str
    nonce: str
    algorithm: str
    """As in `_HASHES`."""
    is_session: bool
    """Whether the password is hashed with the nonce (`-sess`)."""
    named_algorithm: str | None
    """The algorithm as the challenge names it; None if it does not."""
    qop: str | None
    """The quality of protection to use; None for the way of RFC 2069."""
    opaque: str | None
    stale: bool
    userhash: bool
    is_utf8: bool
    """Whether the server knows of UTF-8 (RFC 7616 §4)."""


def strongest_challenge(values: Iterable[str], has_body_bytes: bool) -> DigestChallenge | None:
    """Which of a header's challenges to answer; None if there is none of Digest that can be.

    Args:
        values: The values of WWW-Authenticate or Proxy-Authenticate.
        has_body_bytes: Whether the request's body is known, so that `auth-int` can be answered.
    """
    found: dict[str, DigestChallenge] = {}
    for scheme, parameters in parse_challenges(values):
        if scheme != "digest" or not {"realm", "nonce"} <= parameters.keys():
            continue
        named = parameters.get("algorithm")
        algorithm = (named or "MD5").upper()
        is_session = algorithm.endswith("-SESS")
        algorithm = algorithm.removesuffix("-SESS")
        qop = None
        if "qop" in parameters:
            offered = {name.strip().lower() for name in parameters["qop"].split(",")}
            if "auth" in offered:
                qop = "auth"
            elif "auth-int" in offered and has_body_bytes:
                qop = "auth-int"
            else:
                continue
        if algorithm in _HASHES and algorithm not in found:
            found[algorithm] = DigestChallenge(
                parameters["realm"],
                parameters["nonce"],
                algorithm,
                is_session,
                named,
                qop,
                parameters.get("opaque"),
                parameters.get("stale", "").lower() == "true",
                parameters.get("userhash", "").lower() == "true",
                parameters.get("charset", "").lower() == "utf-8",
            )
    return next((found[algorithm] for algorithm in _HASHES if algorithm in found), None)


class DigestSession:
    """The use of one nonce by one user.

    Args:
        challenge: What gave the nonce.
        login: Who answers.
        cnonce: The client's own nonce.
    """

    __slots__ = ("_challenge", "_cnonce", "_count", "_hash", "_secret", "_user")

    def __init__(self, challenge: DigestChallenge, login: Login, cnonce: str) -> None:
        self._challenge = challenge
        self._cnonce = cnonce
        self._count = 0
        self._hash = digest = _HASHES[challenge.algorithm]
        username, password = _normalized(login.username), _normalized(login.password)
        realm = _to_bytes(challenge.realm)
        secret = digest(b":".join((username, realm, password)))
        if challenge.is_session:
            secret = digest(f"{secret}:{challenge.nonce}:{cnonce}".encode("latin-1"))
        self._secret = secret
        if challenge.userhash:
            self._user = f'username="{digest(username + b":" + realm)}", userhash=true'
        elif challenge.is_utf8 and not username.isascii():
            self._user = f"username*=UTF-8''{quote(username, safe='')}"
        else:
            self._user = f"username={_quoted(username.decode('latin-1'))}"

    @property
    def challenge(self) -> DigestChallenge:
        return self._challenge

    def authorization(self, method: str, uri: str, body: bytes) -> str:
        """The value of Authorization or Proxy-Authorization for the next request.

        Args:
            method: The method of the request.
            uri: Its target, as the request line has it.
            body: Its body; what is not known does not matter, unless `qop` is `auth-int`.
        """
        digest, challenge = self._hash, self._challenge
        request = f"{method}:{uri}"
        if challenge.qop == "auth-int":
            request += f":{digest(body)}"
        parts = [
            self._user,
            f"realm={_quoted(challenge.realm)}",
            f"nonce={_quoted(challenge.nonce)}",
            f"uri={_quoted(uri)}",
        ]
        between = challenge.nonce
        if challenge.qop is not None:
            self._count += 1
            count = f"{self._count:08x}"
            between += f":{count}:{self._cnonce}:{challenge.qop}"
            parts += (f"qop={challenge.qop}", f"nc={count}")
        if challenge.qop is not None or challenge.is_session:
            parts.append(f'cnonce="{self._cnonce}"')
        response = digest(_to_bytes(f"{self._secret}:{between}:{digest(_to_bytes(request))}"))
        parts.append(f'response="{response}"')
        if challenge.named_algorithm is not None:
            parts.append(f"algorithm={challenge.named_algorithm}")
        if challenge.opaque is not None:
            parts.append(f"opaque={_quoted(challenge.opaque)}")
        return "Digest " + ", ".join(parts)


class DigestMemory:
    """The sessions of one client, by who uses them; those that were used last."""

    __slots__ = ("_sessions",)

    def __init__(self) -> None:
        self._sessions: dict[Login, DigestSession] = {}

    def find(self, login: Login) -> DigestSession | None:
        """The session of this user there, or None."""
        session = self._sessions.pop(login, None)
        if session is not None:
            self._sessions[login] = session  # the last in order
        return session

    def begin(self, login: Login, challenge: DigestChallenge) -> DigestSession:
        """A new session, in place of any other that the user had there."""
        session = DigestSession(challenge, login, secrets.token_hex(16))
        self._sessions.pop(login, None)
        self._sessions[login] = session
        if len(self._sessions) > _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def forget(self, login: Login) -> None:
        """Begin anew with the next request."""
        self._sessions.pop(login, None)


class DigestAttempt:
    """The authentication of one request, which may be sent twice.

        attempt = DigestAttempt(memory, Login(origin, "me", "secret"))
        while True:
            headers["Authorization"] = attempt.authorization("GET", "/", b"")  # unless None
            code, headers = ...  # the response
            if not attempt.take(code, headers):
                break

    Args:
        memory: The sessions of the client.
        login: Who authenticates where.
        has_body_bytes: Whether the request's body is known before it is sent.
        with_proxy: Whether it is a proxy that asks.
    """

    __slots__ = (
        "_authorization",
        "_has_body_bytes",
        "_is_last",
        "_login",
        "_memory",
        "_session",
        "_with_proxy",
    )

    def __init__(
        self,
        memory: DigestMemory,
        login: Login,
        has_body_bytes: bool = True,
        with_proxy: bool = False,
    ) -> None:
        self._memory = memory
        self._login = login
        self._has_body_bytes = has_body_bytes
        self._with_proxy = with_proxy
        self._session = memory.find(login)
        self._authorization: str | None = None
        self._is_last = False

    def authorization(self, method: str, uri: str, body: bytes) -> str | None:
        """The value of Authorization or Proxy-Authorization; None if there is no nonce yet.

        It counts once, however often it is asked for.
        """
        if self._session is not None and self._authorization is None:
            self._authorization = self._session.authorization(method, uri, body)
        return self._authorization

    def can_answer(self, code: int, headers: HTTPHeaders) -> bool:
        """Whether a response is a challenge, on which the request is to be sent again.

        Args:
            code: The status of the response.
            headers: Its headers.
        """
        return self._answerable(code, headers) is not None

    def take(self, code: int, headers: HTTPHeaders) -> bool:
        """Take notice of a response. Returns what `can_answer` does."""
        challenge = self._answerable(code, headers)
        if challenge is not None:
            self._is_last = True
            self._session = self._memory.begin(self._login, challenge)
            self._authorization = None
        elif code == self._status:
            self._memory.forget(self._login)
        else:
            self._take_next_nonce(headers)
        return challenge is not None

    @property
    def _status(self) -> int:
        return 407 if self._with_proxy else 401

    def _answerable(self, code: int, headers: HTTPHeaders) -> DigestChallenge | None:
        if code != self._status or self._is_last:
            return None
        name = "Proxy-Authenticate" if self._with_proxy else "WWW-Authenticate"
        challenge = strongest_challenge(headers.get_list(name), self._has_body_bytes)
        if challenge is None or self._session is None or challenge.stale:
            return challenge
        # If nothing has changed, the password is wrong.
        answered = self._session.challenge
        is_news = (challenge.realm, challenge.nonce) != (answered.realm, answered.nonce)
        return challenge if is_news else None

    def _take_next_nonce(self, headers: HTTPHeaders) -> None:
        """What to use from now on (RFC 7616 §3.5). Sessions with `-sess` keep their first nonce."""
        name = "Proxy-Authentication-Info" if self._with_proxy else "Authentication-Info"
        information = headers.get(name)
        if information is None or self._session is None or self._session.challenge.is_session:
            return
        for _, parameters in parse_challenges([f"Digest {information}"]):
            if nonce := parameters.get("nextnonce"):
                self._memory.begin(self._login, self._session.challenge._replace(nonce=nonce))


def _normalized(text: str) -> bytes:
    return unicodedata.normalize("NFC", text).encode()


def _to_bytes(text: str) -> bytes:
    """The bytes of what came in a header, or goes into one."""
    return text.encode("latin-1", "replace")


def _quoted(text: str) -> str:
    """RFC 9110 §5.6.4."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
