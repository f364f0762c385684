"""Signed values: what a client may read and keep, but not change.

The format is Tornado's, so that both can read each other's cookies. Version 2 is

    2|1:0|10:1300000000|3:key|8:dmFsdWU=|3d4e60b9…

the version; then, each with its length in bytes in front, the version of the key, the time of
signing (seconds since the epoch), the name and the value in base64; last the HMAC-SHA-256
(RFC 2104) of all before it, in hexadecimal digits. Version 1, from before 2014, is
`value|time|signature` with HMAC-SHA-1 of name, value and time one behind the other: digits could
move between its parts, so its times are looked at twice.
"""

import base64
import hmac
import re
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from typhoon.escape import utf8
from typhoon.log import gen_log

MIN_SUPPORTED_SIGNED_VALUE_VERSION = 1
"""The oldest version of signed values that can be read and made."""

MAX_SUPPORTED_SIGNED_VALUE_VERSION = 2
"""The newest version of signed values that can be read and made."""

DEFAULT_SIGNED_VALUE_VERSION = 2
"""The version that is made if none is asked for."""

DEFAULT_SIGNED_VALUE_MIN_VERSION = 1
"""The oldest version that is read if none is asked for."""

Secret = str | bytes | Mapping[int, str | bytes]
"""One secret, or several by the version of the key."""

Clock = Callable[[], float]
"""Tells the time in seconds since the epoch, as `time.time` does."""

DAY = 86400

# A first version of base64 text cannot look like this: its length is a multiple of four.
_VERSION = re.compile(rb"([1-9][0-9]{0,2})\|")
_FIELD_LENGTH = re.compile(rb"(0|[1-9][0-9]{0,8}):")
_DECIMAL = re.compile(rb"[0-9]{1,18}")


class _Fields(NamedTuple):
    """The parts of a value of version 2, none of them believed yet."""

    key_version: int
    timestamp: bytes
    name: bytes
    payload: bytes
    signed: bytes
    signature: bytes


def create_signed_value(
    secret: Secret,
    name: str,
    value: str | bytes,
    version: int | None = None,
    clock: Clock | None = None,
    key_version: int | None = None,
) -> bytes:
    """Sign a value, so that `decode_signed_value` can tell that it is ours, and how old it is.

    `name` is signed too: the value counts for no other name. `version` is that of the format
    (`DEFAULT_SIGNED_VALUE_VERSION`), `clock` tells the time. If `secret` is a dict, `key_version`
    says which of its secrets signs. `ValueError` if it does not, or for an unknown version.
    """
    if version is None:
        version = DEFAULT_SIGNED_VALUE_VERSION
    timestamp = str(int((clock or time.time)())).encode()
    payload = base64.b64encode(utf8(value))
    if version == 1:
        if not isinstance(secret, str | bytes):
            raise ValueError("Signed values of version 1 know no versions of keys: use version 2")
        signature = _sign_v1(secret, name, payload, timestamp)
        return b"|".join((payload, timestamp, signature))
    if version != 2:
        raise ValueError(f"Unsupported version {version} of signed values: use 1 or 2")
    key = key_of(secret, key_version)
    fields = (str(key_version or 0).encode(), timestamp, utf8(name), payload)
    signed = b"2|" + b"".join(b"%d:%b|" % (len(field), field) for field in fields)
    return signed + _sign_v2(key, signed)


def decode_signed_value(
    secret: Secret,
    name: str,
    value: str | bytes | None,
    max_age_days: float = 31,
    clock: Clock | None = None,
    min_version: int | None = None,
) -> bytes | None:
    """The value that was signed, or None if that was not done by us, for this name, and lately.

    `max_age_days` is how old it may be, `min_version` the oldest version of the format that is
    accepted (`DEFAULT_SIGNED_VALUE_MIN_VERSION`). `ValueError` for an unknown `min_version`.
    """
    if min_version is None:
        min_version = DEFAULT_SIGNED_VALUE_MIN_VERSION
    if not 1 <= min_version <= MAX_SUPPORTED_SIGNED_VALUE_VERSION:
        raise ValueError(f"Unsupported min_version {min_version} of signed values: use 1 or 2")
    if not value:
        return None
    value = utf8(value)
    version = _version_of(value)
    if version < min_version:
        return None
    now = (clock or time.time)()
    if version == 1:
        return _decode_v1(secret, name, value, now - max_age_days * DAY, now)
    if version == 2:
        return _decode_v2(secret, name, value, now - max_age_days * DAY)
    return None


def get_signature_key_version(value: str | bytes) -> int | None:
    """The version of the key that a value says it was signed with; this is not checked.

    None if it says nothing, as values of version 1.
    """
    value = utf8(value)
    fields = _split_v2(value) if _version_of(value) == 2 else None
    return fields.key_version if fields is not None else None


def key_of(secret: Secret, key_version: int | None) -> str | bytes:
    """The secret to make something new with. `ValueError` if it cannot be told which."""
    if isinstance(secret, str | bytes):
        return secret
    if key_version is None:
        raise ValueError(
            "cookie_secret is a dict: set key_version too, to the key of the secret to sign with"
        )
    try:
        return secret[key_version]
    except KeyError:
        known = ", ".join(map(repr, secret))
        raise ValueError(
            f"cookie_secret has no secret for key_version {key_version!r}, only for {known}"
        ) from None


def known_key(secret: Secret, key_version: int) -> str | bytes | None:
    """The secret that something was made with; None if there is none any more."""
    return secret if isinstance(secret, str | bytes) else secret.get(key_version)


def timestamp_of(text: bytes) -> int | None:
    """A time in seconds since the epoch from its decimal digits."""
    return int(text) if _DECIMAL.fullmatch(text) else None


def _version_of(value: bytes) -> int:
    match = _VERSION.match(value)
    return int(match[1]) if match else 1


def _sign_v1(secret: str | bytes, name: str, payload: bytes, timestamp: bytes) -> bytes:
    return hmac.digest(utf8(secret), utf8(name) + payload + timestamp, "sha1").hex().encode()


def _sign_v2(secret: str | bytes, signed: bytes) -> bytes:
    return hmac.digest(utf8(secret), signed, "sha256").hex().encode()


def _decode_v1(secret: Secret, name: str, value: bytes, oldest: float, now: float) -> bytes | None:
    if value.count(b"|") != 2 or not isinstance(secret, str | bytes):
        return None
    payload, digits, signature = value.split(b"|")
    if not hmac.compare_digest(signature, _sign_v1(secret, name, payload, digits)):
        gen_log.warning("Invalid cookie signature of %r", name)
        return None
    timestamp = timestamp_of(digits)
    if timestamp is None:
        return None
    if timestamp < oldest:
        gen_log.warning("Expired cookie %r", name)
        return None
    # Digits from the end of the payload would make the time much later, or begin it with zeros.
    if timestamp > now + 31 * DAY:
        gen_log.warning("Cookie timestamp in future of %r; possible tampering", name)
        return None
    if digits.startswith(b"0"):
        gen_log.warning("Tampered cookie %r", name)
        return None
    return _from_base64(payload)


def _decode_v2(secret: Secret, name: str, value: bytes, oldest: float) -> bytes | None:
    fields = _split_v2(value)
    if fields is None:
        return None
    key = known_key(secret, fields.key_version)
    if key is None or not hmac.compare_digest(fields.signature, _sign_v2(key, fields.signed)):
        return None
    timestamp = timestamp_of(fields.timestamp)
    if fields.name != utf8(name) or timestamp is None or timestamp < oldest:
        return None
    return _from_base64(fields.payload)


def _split_v2(value: bytes) -> _Fields | None:
    """Follow the lengths, each step by one field: linear, whatever the fields hold."""
    fields = []
    position = 2
    for _ in range(4):
        length = _FIELD_LENGTH.match(value, position)
        if length is None:
            return None
        end = length.end() + int(length[1])
        if value[end : end + 1] != b"|":
            return None
        fields.append(value[length.end() : end])
        position = end + 1
    key_version, timestamp, name, payload = fields
    if not _DECIMAL.fullmatch(key_version):
        return None
    return _Fields(int(key_version), timestamp, name, payload, value[:position], value[position:])


def _from_base64(payload: bytes) -> bytes | None:
    try:
        return base64.b64decode(payload)
    except ValueError:
        return None
