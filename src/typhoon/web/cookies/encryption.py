"""Encrypted values: what a client keeps, but can neither read nor change.

A value is `1.key_version.time.box`: the version of this format, the version of the key, the time of
encryption (seconds since the epoch, UTC), and in the URL-safe base64 of RFC 4648, without padding,
a random salt of 24 bytes, then what AES-256-GCM makes of the content (NIST SP 800-38D): as many
bytes, and a tag of 16. Key and nonce come from the secret and the salt through HKDF-SHA-256
(RFC 5869), so that each value has its own, and no number of values is too many. What stands in
front of the box, and the name, are its associated data: none can be exchanged.
"""

import base64
import re
import secrets
import time
from typing import TYPE_CHECKING

from typhoon.escape import utf8
from typhoon.web.cookies.signing import DAY, Clock, Secret, key_of, known_key, timestamp_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VALUE = re.compile(rb"(1\.([0-9]{1,18})\.([0-9]{1,18}))\.([-_0-9A-Za-z]+)")
_SALT = 24
_PURPOSE = b"typhoon encrypted value 1"


def create_encrypted_value(
    secret: Secret,
    name: str,
    value: str | bytes,
    clock: Clock | None = None,
    key_version: int | None = None,
) -> bytes:
    """Encrypt a value, so that only `decode_encrypted_value` can read it, and only for this name.

    `clock` tells the time. If `secret` is a dict, `key_version` says which of its secrets is used;
    `ValueError` if it does not. `ImportError` without the package cryptography.
    """
    key = key_of(secret, key_version)
    head = b"1.%d.%d" % (key_version or 0, int((clock or time.time)()))
    salt = secrets.token_bytes(_SALT)
    cipher, nonce = _cipher(key, salt)
    box = salt + cipher.encrypt(nonce, utf8(value), _associated(head, name))
    return head + b"." + base64.urlsafe_b64encode(box).rstrip(b"=")


def decode_encrypted_value(
    secret: Secret,
    name: str,
    value: str | bytes | None,
    max_age_days: float = 31,
    clock: Clock | None = None,
) -> bytes | None:
    """The value that was encrypted, or None if that was not done by us, for this name, and lately.

    `max_age_days` is how old it may be. `ImportError` without the package cryptography.
    """
    match = _VALUE.fullmatch(utf8(value)) if value else None
    if match is None:
        return None
    head, key_version, digits, text = match.groups()
    key = known_key(secret, int(key_version))
    timestamp = timestamp_of(digits)
    if key is None or timestamp is None:
        return None
    if timestamp < (clock or time.time)() - max_age_days * DAY:
        return None
    try:
        box = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return _open(key, box, _associated(head, name))


def _open(key: str | bytes, box: bytes, associated: bytes) -> bytes | None:
    cipher, nonce = _cipher(key, box[:_SALT])
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, box[_SALT:], associated)
    except InvalidTag:
        return None


def _associated(head: bytes, name: str) -> bytes:
    # The head has no colon, so that the two cannot run into each other.
    return head + b":" + utf8(name)


def _cipher(key: str | bytes, salt: bytes) -> "tuple[AESGCM, bytes]":
    """The cipher and the nonce for one value."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise ImportError(
            "Encrypted cookies need cryptography: pip install 'typhoon[crypto]'",
            name="cryptography",
        ) from error
    derived = HKDF(algorithm=SHA256(), length=44, salt=salt, info=_PURPOSE).derive(utf8(key))
    return AESGCM(derived[:32]), derived[32:]
