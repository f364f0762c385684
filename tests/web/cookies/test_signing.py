"""Signed values, and that they are Tornado's."""

from __future__ import annotations

import base64
import hmac
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon.web import (
    DEFAULT_SIGNED_VALUE_MIN_VERSION,
    DEFAULT_SIGNED_VALUE_VERSION,
    MAX_SUPPORTED_SIGNED_VALUE_VERSION,
    MIN_SUPPORTED_SIGNED_VALUE_VERSION,
    create_signed_value,
    decode_signed_value,
    get_signature_key_version,
)

NOW = 1300000000
DAY = 86400
SECRET = "It's a secret to everybody"
SECRETS = {0: "asdfbasdf", 1: "12312312", 2: "2342342"}

V1 = b"dmFsdWU=|1300000000|31c934969f53e48164c50768b40cbd7e2daaaa4f"
V2 = (
    b"2|1:0|10:1300000000|3:key|8:dmFsdWU=|"
    b"3d4e60b996ff9c5d5788e333a0cba6f238a22c6c0f94788870e1a9ecd482e152"
)

# (secret, name, value, version, key version) and what Tornado 6.6.1 made of it at NOW.
FROM_TORNADO = [
    (SECRET, "key", "value", 1, None, V1),
    (SECRET, "key", "value", 2, None, V2),
    (SECRET, "key", "", 1, None, b"|1300000000|deaa22682dbfb132eff510f9d95445a77cadc28a"),
    (
        *(SECRET, "key", "", 2, None),
        b"2|1:0|10:1300000000|3:key|0:|"
        b"6e95660506257587586edb4dbac28ab1c44d8163a37af507ec5c99232c6d4a87",
    ),
    (
        *(b"\xff\x00", "k", b"\xff|", 2, 7),
        b"2|1:7|10:1300000000|1:k|4:/3w=|"
        b"2ccdd5a204ed2a30b9ef0504fd7ee4bde458a963e8daf4c33c92b7c088c7893c",
    ),
    (
        *(SECRETS, "k", "v", None, 2),
        b"2|1:2|10:1300000000|1:k|4:dg==|"
        b"5c2016cb3141896a9aede71c477f0ac5b9f587392424e204ddbb530812428204",
    ),
]


def clock_at(time: float):
    return lambda: time


def decode(value, secret=SECRET, name="key", at=NOW, **keywords):
    return decode_signed_value(secret, name, value, clock=clock_at(at), **keywords)


def v1(payload: bytes, timestamp: bytes, name: bytes = b"key") -> bytes:
    signature = hmac.digest(SECRET.encode(), name + payload + timestamp, "sha1").hex()
    return b"|".join((payload, timestamp, signature.encode()))


def v2(signed: bytes) -> bytes:
    return signed + hmac.digest(SECRET.encode(), signed, "sha256").hex().encode()


def test_the_versions():
    assert (MIN_SUPPORTED_SIGNED_VALUE_VERSION, MAX_SUPPORTED_SIGNED_VALUE_VERSION) == (1, 2)
    assert (DEFAULT_SIGNED_VALUE_MIN_VERSION, DEFAULT_SIGNED_VALUE_VERSION) == (1, 2)


@pytest.mark.parametrize(
    ("secret", "name", "value", "version", "key_version", "signed"), FROM_TORNADO
)
def test_tornado_reads_ours_and_we_read_tornados(secret, name, value, version, key_version, signed):
    made = create_signed_value(
        secret, name, value, version=version, clock=clock_at(NOW + 0.9), key_version=key_version
    )
    assert made == signed
    content = value.encode() if isinstance(value, str) else value
    assert decode(signed, secret, name) == content
    assert decode(signed.decode(), secret, name) == content


def test_a_name_outside_of_ascii():
    # Its length is in bytes. (Tornado writes that in characters, and cannot read it.)
    signed = create_signed_value(SECRET, "kéy", "é", clock=clock_at(NOW))
    assert b"|4:k\xc3\xa9y|" in signed
    assert decode(signed, name="kéy") == "é".encode()


@pytest.mark.parametrize("value", [V1, V2])
@pytest.mark.parametrize(
    ("later", "readable"), [(-1, True), (0, True), (31 * DAY, True), (31 * DAY + 1, False)]
)
def test_the_age(value, later, readable):
    assert decode(value, at=NOW + later) == (b"value" if readable else None)


def test_the_age_can_be_chosen():
    assert decode(V2, at=NOW + 43200, max_age_days=0.5) == b"value"
    assert decode(V2, at=NOW + 43201, max_age_days=0.5) is None


def test_the_oldest_version_can_be_chosen():
    assert decode(V1, min_version=1) == b"value"
    assert decode(V1, min_version=2) is None
    assert decode(V2, min_version=2) == b"value"
    for unknown in (0, 3):
        with pytest.raises(ValueError, match="Unsupported min_version"):
            decode(V2, min_version=unknown)


def test_without_a_clock_it_is_now():
    signed = create_signed_value(SECRET, "key", "value")
    assert decode_signed_value(SECRET, "key", signed) == b"value"
    assert decode_signed_value(SECRET, "key", V2) is None


@pytest.mark.parametrize("value", [V1, V2])
def test_another_name_or_secret(value):
    assert decode(value, name="key2") is None
    assert decode(value, secret="another") is None


@pytest.mark.parametrize("value", [V1, V2])
def test_each_changed_byte_is_noticed(value):
    for place in range(len(value)):
        changed = bytearray(value)
        changed[place] ^= 1
        assert decode(bytes(changed)) is None, changed
        assert decode(value[:place]) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        b"",
        "|",
        "||",
        "a|b",
        "a|b|c",
        "2|",
        "2|||||",
        "3" + V2.decode()[1:],
        "999" + V2.decode()[1:],
        "0" + V2.decode()[1:],
        "2|1:0|11:1300000000|3:key|8:dmFsdWU=|x",
        "2|1:0|999999999:1300000000|3:key|8:dmFsdWU=|x",
        "2|1:0|99999999999999999999:1300000000|3:key|8:dmFsdWU=|x",
        "2|-1:0|10:1300000000|3:key|8:dmFsdWU=|x",
        "2|1:x|10:1300000000|3:key|8:dmFsdWU=|x",
        "2|01:0|10:1300000000|3:key|8:dmFsdWU=|x",
        "2|" * 20000,
        "2|" + "1:0|" * 10000,
        "|" * 60000,
    ],
)
def test_nonsense(value):
    assert decode(value) is None
    assert decode(value, secret=SECRETS) is None
    if value is not None:
        get_signature_key_version(value)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"2|1:0|" + tail))
def test_no_value_raises(value):
    assert decode(value) is None
    get_signature_key_version(value)


@pytest.mark.parametrize("timestamp", [b"x", b"", b"-1", b"+1300000000", b" 1300000000", b"1_3"])
def test_a_timestamp_that_is_no_number(timestamp):
    assert decode(v1(b"dmFs", timestamp)) is None
    assert decode(v2(b"2|1:0|%d:%b|3:key|4:dmFs|" % (len(timestamp), timestamp))) is None


def test_a_payload_that_is_no_base64():
    assert decode(v1(b"a", b"1300000000")) is None
    assert decode(v2(b"2|1:0|10:1300000000|3:key|1:a|")) is None


@pytest.mark.parametrize(
    ("digits_moved", "message"), [(4, "timestamp in future"), (8, "timestamp in future")]
)
def test_digits_that_move_into_the_time_of_version_1(caplog, digits_moved, message):
    payload = base64.b64encode(b"value" * 3 + b"\xd7\x6d\xf8\xe7\xae\xfc")
    assert payload.endswith(b"12345678")
    signed = v1(payload, b"1300000000")
    assert decode(signed) is not None
    _, timestamp, signature = signed.split(b"|")
    moved = [payload[:-digits_moved], payload[-digits_moved:] + timestamp, signature]
    assert decode(b"|".join(moved)) is None
    assert message in caplog.text


def test_zeros_that_move_into_the_time_of_version_1(caplog):
    assert decode(v1(b"dmFs", b"00001300000000")) is None
    assert "Tampered cookie 'key'" in caplog.text


def test_logs_do_not_tell_what_was_signed(caplog):
    with caplog.at_level(logging.DEBUG):
        decode(V1[:-1] + b"0")
        decode(V1, at=NOW + 40 * DAY)
    assert [record.getMessage() for record in caplog.records] == [
        "Invalid cookie signature of 'key'",
        "Expired cookie 'key'",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_key_versions():
    signed = create_signed_value(SECRETS, "key", b"\xe9", key_version=1)
    assert get_signature_key_version(signed) == 1
    assert get_signature_key_version(signed.decode()) == 1
    assert decode_signed_value(SECRETS, "key", signed) == b"\xe9"
    assert decode_signed_value({0: SECRETS[0]}, "key", signed) is None
    assert decode_signed_value({1: SECRETS[2]}, "key", signed) is None
    # A secret without versions reads what it signed when it had one.
    assert decode_signed_value(SECRETS[1], "key", signed) == b"\xe9"


@pytest.mark.parametrize("value", ["", V1, V1.decode(), "2|1:x|", "12|1:0|", "2|1:0|"])
def test_no_key_version(value):
    assert get_signature_key_version(value) is None


def test_a_cookie_of_version_1_and_versions_of_keys():
    assert decode(V1, secret=SECRETS) is None


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"secret": SECRETS}, "set key_version too"),
        ({"secret": SECRETS, "key_version": 5}, "no secret for key_version 5, only for 0, 1, 2"),
        ({"secret": SECRETS, "key_version": 1, "version": 1}, "use version 2"),
        ({"secret": SECRET, "version": 3}, "Unsupported version 3"),
    ],
)
def test_what_cannot_be_signed(keywords, message):
    secret = keywords.pop("secret")
    with pytest.raises(ValueError, match=message):
        create_signed_value(secret, "key", "value", **keywords)
