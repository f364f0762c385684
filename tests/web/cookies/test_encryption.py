"""Encrypted values."""

from __future__ import annotations

import base64
import builtins

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon.web import Application, RequestHandler
from typhoon.web.cookies.encryption import create_encrypted_value, decode_encrypted_value

NOW = 1300000000
DAY = 86400
SECRET = "It's a secret to everybody"
SECRETS = {0: "asdfbasdf", 1: "12312312"}

# Values of this format have to be readable for ever.
KNOWN = b"1.0.1300000000.Tz6f0ZU5KOBQheBD8a1UG_OWlGMlbDSdhWQ5-44XqeegF7Ce4gm8DjGs2AIR"


def clock_at(time: float):
    return lambda: time


def encrypt(value="value", secret=SECRET, name="key", **keywords):
    return create_encrypted_value(secret, name, value, clock=clock_at(NOW), **keywords)


def decrypt(value, secret=SECRET, name="key", at=NOW, **keywords):
    return decode_encrypted_value(secret, name, value, clock=clock_at(at), **keywords)


def test_the_format_stays():
    assert decrypt(KNOWN) == b"value"


@given(st.binary(max_size=300), st.text(max_size=20))
def test_what_goes_in_comes_out(value, name):
    encrypted = encrypt(value, name=name)
    assert decrypt(encrypted, name=name) == value
    assert decrypt(encrypted.decode(), name=name) == value


def test_the_same_value_is_never_the_same():
    assert len({encrypt() for _ in range(10)}) == 10


def test_it_tells_nothing_but_its_length():
    encrypted = encrypt("sesame" * 10)
    box = encrypted.split(b".")[3]
    assert b"sesame" not in base64.urlsafe_b64decode(box + b"=" * (-len(box) % 4))


def test_each_changed_byte_is_noticed():
    encrypted = encrypt()
    for place in range(len(encrypted)):
        changed = bytearray(encrypted)
        changed[place] ^= 1
        # The last character of base64 may hold bits that stand for nothing.
        if base64_content(bytes(changed)) != base64_content(encrypted):
            assert decrypt(bytes(changed)) is None, changed
        assert decrypt(encrypted[:place]) is None


def base64_content(value: bytes) -> object:
    head, _, box = value.rpartition(b".")
    try:
        return head, base64.urlsafe_b64decode(box + b"=" * (-len(box) % 4))
    except ValueError:
        return value


def test_another_name_secret_or_time():
    encrypted = encrypt()
    assert decrypt(encrypted, name="key2") is None
    assert decrypt(encrypted, secret="another") is None
    assert decrypt(encrypted.replace(b".1300000000.", b".1300000001.")) is None
    assert decrypt(encrypted.replace(b"1.0.", b"1.1.")) is None


@pytest.mark.parametrize(
    ("later", "readable"), [(0, True), (31 * DAY, True), (31 * DAY + 1, False)]
)
def test_the_age(later, readable):
    assert decrypt(encrypt(), at=NOW + later) == (b"value" if readable else None)


def test_the_age_can_be_chosen():
    assert decrypt(encrypt(), at=NOW + 43200, max_age_days=0.5) == b"value"
    assert decrypt(encrypt(), at=NOW + 43201, max_age_days=0.5) is None


def test_key_versions():
    encrypted = encrypt(secret=SECRETS, key_version=1)
    assert decrypt(encrypted, secret=SECRETS) == b"value"
    assert decrypt(encrypted, secret={1: SECRETS[1]}) == b"value"
    assert decrypt(encrypted, secret={0: SECRETS[0]}) is None
    with pytest.raises(ValueError, match="set key_version too"):
        encrypt(secret=SECRETS)
    with pytest.raises(ValueError, match="no secret for key_version 7"):
        encrypt(secret=SECRETS, key_version=7)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "1.0.1300000000.",
        "1.0.1300000000.A",
        "1.0.1300000000.AAAA",
        "1.0.1300000000." + "A" * 60000,
        "2.0.1300000000.AAAA",
        "1.0.x.AAAA",
        "1.0.1300000000.A A",
        "1." * 30000,
    ],
)
def test_nonsense(value):
    assert decrypt(value) is None


def test_the_name_of_the_extra_where_cryptography_is_missing(monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'typhoon\[crypto\]'"):
        encrypt()
    with pytest.raises(ImportError, match=r"pip install 'typhoon\[crypto\]'"):
        decrypt(KNOWN)


class Box(RequestHandler):
    def get(self) -> None:
        self.write(self.get_encrypted_cookie("box") or b"nothing")

    def post(self) -> None:
        self.set_encrypted_cookie("box", self.request.body, httponly=True)


def test_over_the_wire(serve):
    server = serve(Application([("/", Box)], cookie_secret=SECRETS, key_version=1))
    cookie = server.post("/", b"sesame").header("Set-Cookie")
    value, *attributes = cookie.split("; ")
    assert "sesame" not in value
    assert [name.partition("=")[0] for name in attributes] == ["expires", "HttpOnly", "Path"]
    assert server.get("/", {"Cookie": value}).text == "sesame"
    other = "B" if value[-10] == "A" else "A"
    assert server.get("/", {"Cookie": value[:-10] + other + value[-9:]}).text == "nothing"
    assert server.get("/").text == "nothing"


def test_an_encrypted_cookie_is_no_signed_one(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            signed = self.create_signed_value("a", "1").decode()
            assert self.get_encrypted_cookie("a", signed) is None
            self.set_encrypted_cookie("a", "1")
            (header,) = self._new_cookies.values()
            encrypted = header.partition(";")[0].partition("=")[2]
            assert self.get_encrypted_cookie("a", encrypted) == b"1"
            assert self.get_encrypted_cookie("b", encrypted) is None
            assert self.get_signed_cookie("a", encrypted) is None

    assert serve(Application([("/", Handler)], cookie_secret="s")).get("/").status == 200


def test_without_a_secret(serve):
    server = serve(Application([("/", Box)], serve_traceback=True))
    answer = server.get("/")
    assert answer.status == 500
    assert "define the 'cookie_secret' setting" in answer.text
