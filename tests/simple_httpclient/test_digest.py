"""Digest authentication: what is computed, and when it is sent."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.challenges import Challenge, parse_challenges
from typhoon.simple_httpclient.digest import (
    DigestAttempt,
    DigestMemory,
    DigestSession,
    Login,
    strongest_challenge,
)

LOGIN = Login(("http", "example.com", 80), "me", "secret")


@pytest.mark.parametrize(
    ("fields", "challenges"),
    [
        ([], []),
        ([""], []),
        (["Negotiate"], [("negotiate", {})]),
        (["Negotiate abc=="], [("negotiate", {})]),
        (["Negotiate a-b.c/d+e~=, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (
            ["Basic realm=x", "Digest nonce=y"],
            [("basic", {"realm": "x"}), ("digest", {"nonce": "y"})],
        ),
        (
            ['Basic realm="a, Digest b=\\"c\\"" , ,Digest  REALM = "\\\\" ,nonce="",x=y'],
            [
                ("basic", {"realm": 'a, Digest b="c"'}),
                ("digest", {"realm": "\\", "nonce": "", "x": "y"}),
            ],
        ),
        (["NTLM, Digest a=b, NTLM"], [("ntlm", {}), ("digest", {"a": "b"}), ("ntlm", {})]),
        (["Digest a=1, A=2"], [("digest", {"a": "1"})]),
        (["a=b"], []),
        (['Digest a="b", c="d'], [("digest", {"a": "b"})]),
        (['Digest a="b"c, d=e'], [("digest", {})]),
        (["Digest a=b;c=d"], [("digest", {})]),
    ],
)
def test_challenges(fields: list[str], challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(fields) == [Challenge(*challenge) for challenge in challenges]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["basic", "digest", "x"]),
            st.dictionaries(
                st.text("ab-1", min_size=1, max_size=4), st.text(max_size=9), max_size=3
            ),
        ),
        max_size=4,
    )
)
def test_challenges_of_any_text(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(text: str) -> str:
        return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'

    fields = [
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    ]
    whole = [Challenge(*challenge) for challenge in challenges]
    assert parse_challenges(fields) == whole
    assert parse_challenges([", ".join(fields)]) == whole


@pytest.mark.parametrize(
    "field", ['Digest a="' + "\\" * 60_000, "Basic " + "a" * 60_000, "a=" * 30_000]
)
def test_hostile_fields_take_linear_time(field: str) -> None:
    assert len(parse_challenges([field])) <= 1


def answer(challenge: str, login: Login, cnonce: str, uri: str, **options: Any) -> dict[str, str]:
    """What a request with an answer to this challenge says."""
    chosen = strongest_challenge([challenge], has_body_bytes=True)
    assert chosen is not None
    session = DigestSession(chosen, login, cnonce)
    arguments = {"method": "GET", "uri": uri, "body": b"", **options}
    ((scheme, parameters),) = parse_challenges([session.authorization(**arguments)])
    assert scheme == "digest"
    return parameters


EXAMPLE = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_first_example_of_the_rfc(algorithm: str, response: str) -> None:
    """RFC 7616 §3.9.1."""
    login = Login(None, "Mufasa", "Circle of Life")
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    assert answer(EXAMPLE.format(algorithm), login, cnonce, "/dir/index.html") == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": cnonce,
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


@pytest.mark.parametrize("userhash", [True, False])
def test_the_second_example_of_the_rfc(userhash: bool) -> None:
    """RFC 7616 §3.9.2, with the values of erratum 4897."""
    if "sha512_256" not in hashlib.algorithms_available:
        pytest.skip("this OpenSSL has no SHA-512/256")
    challenge = (
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8'
    )
    challenge += ", userhash=true" if userhash else ""
    login = Login(None, "J\u00e4s\u00f8n Doe", "Secret, or not?")
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    seen = answer(challenge, login, cnonce, "/doe.json")
    assert seen["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    if userhash:
        hashed = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        assert (seen["username"], seen["userhash"]) == (hashed, "true")
    else:
        assert seen["username*"] == "UTF-8''J%C3%A4s%C3%B8n%20Doe"
        assert "username" not in seen


def test_the_example_of_rfc_2617() -> None:
    """RFC 2617 §3.5."""
    challenge = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    login = Login(None, "Mufasa", "Circle Of Life")
    seen = answer(challenge, login, "0a4f113b", "/dir/index.html")
    assert seen["response"] == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in seen


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def test_a_challenge_without_qop() -> None:
    """RFC 2069 §2.4."""
    seen = answer('Digest realm="r", nonce="n"', LOGIN, "c", "/")
    assert seen == {
        "username": "me",
        "realm": "r",
        "nonce": "n",
        "uri": "/",
        "response": md5(md5("me", "r", "secret"), "n", md5("GET", "/")),
    }


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
def test_sessions_and_the_integrity_of_the_body(qop: str) -> None:
    challenge = f'Digest realm="r", nonce="n", algorithm=MD5-sess, qop="{qop}"'
    seen = answer(challenge, LOGIN, "c", "/", method="POST", body=b"a=b")
    a1 = md5(md5("me", "r", "secret"), "n", "c")
    a2 = md5("POST", "/") if qop == "auth" else md5("POST", "/", md5("a=b"))
    assert seen["response"] == md5(a1, "n", "00000001", "c", qop, a2)


def test_texts_beyond_ascii() -> None:
    login = Login(None, 'm\u00fc"\\', "\u30e6\u00a3")
    seen = answer('Digest realm="\u00c3\u00bc", nonce="\\"n\\\\"', login, "c", "/")
    assert seen["username"].encode("latin-1").decode() == login.username
    assert (seen["realm"], seen["nonce"]) == ("\u00c3\u00bc", '"n\\')
    a1 = md5(login.username, "\u00fc", login.password)
    assert seen["response"] == md5(a1, '"n\\', md5("GET", "/"))


@pytest.mark.parametrize(
    ("fields", "nonce"),
    [
        (["Digest realm=r, nonce=1", "Digest realm=r, nonce=2, algorithm=SHA-256"], "2"),
        (["Digest realm=r, nonce=1, algorithm=sha-256-SESS, Digest realm=r, nonce=2"], "1"),
        (["Digest realm=r, nonce=1, Digest realm=r, nonce=2"], "1"),
        (['Basic realm="r"', "DIGEST realm=r, nonce=1"], "1"),
        (["Digest realm=r, nonce=1, algorithm=SHA-3, Digest realm=r, nonce=2"], "2"),
        (["Digest realm=r, nonce=1, qop=auth-int, Digest realm=r, nonce=2, qop=auth"], "2"),
        (["Digest realm=r, nonce=1, qop=other"], None),
        (["Digest realm=r, nonce=1, algorithm=SHA-3"], None),
        (["Digest realm=r"], None),
        (["Digest nonce=r"], None),
        (["Basic realm=r"], None),
        ([], None),
    ],
)
def test_the_strongest_challenge_is_chosen(fields: list[str], nonce: str | None) -> None:
    challenge = strongest_challenge(fields, has_body_bytes=False)
    assert (challenge and challenge.nonce) == nonce


def challenging(value: str, name: str = "WWW-Authenticate") -> HTTPHeaders:
    return HTTPHeaders({name: value})


def parameters_of(attempt: DigestAttempt) -> dict[str, str]:
    authorization = attempt.authorization("GET", "/", b"")
    assert authorization is not None
    return parse_challenges([authorization])[0].parameters


def test_a_nonce_is_used_again_with_the_next_count() -> None:
    memory = DigestMemory()
    first = DigestAttempt(memory, LOGIN)
    assert first.authorization("GET", "/", b"") is None
    assert first.take(401, challenging('Digest realm="r", nonce="n", qop="auth"'))
    assert parameters_of(first)["nc"] == "00000001"
    assert not first.take(200, HTTPHeaders())
    second = parameters_of(DigestAttempt(memory, LOGIN))
    assert (second["nonce"], second["nc"]) == ("n", "00000002")
    for other in (
        LOGIN._replace(space="elsewhere"),
        LOGIN._replace(username="you"),
        LOGIN._replace(password="other"),
    ):
        assert DigestAttempt(memory, other).authorization("GET", "/", b"") is None


def known() -> DigestMemory:
    memory = DigestMemory()
    DigestAttempt(memory, LOGIN).take(401, challenging("Digest realm=r, nonce=n, qop=auth"))
    return memory


@pytest.mark.parametrize(
    ("challenge", "nonce"),
    [
        ("Digest realm=r, nonce=n2, stale=true", "n2"),
        ("Digest realm=r, nonce=n, stale=TRUE", "n"),
        ("Digest realm=r, nonce=n2", "n2"),
        ("Digest realm=r2, nonce=n", "n"),
        ("Digest realm=r, nonce=n", None),
        ("Digest realm=r, nonce=n, stale=false", None),
        ("Basic realm=r", None),
    ],
)
def test_what_can_help_is_tried_once(challenge: str, nonce: str | None) -> None:
    memory = known()
    attempt = DigestAttempt(memory, LOGIN)
    assert parameters_of(attempt)["nonce"] == "n"
    assert attempt.take(401, challenging(challenge)) == (nonce is not None)
    if nonce is not None:
        assert parameters_of(attempt)["nonce"] == nonce
        assert not attempt.take(401, challenging("Digest realm=r, nonce=n3, stale=true"))
    assert DigestAttempt(memory, LOGIN).authorization("GET", "/", b"") is None


def test_a_server_may_give_the_next_nonce() -> None:
    memory = known()
    attempt = DigestAttempt(memory, LOGIN)
    information = HTTPHeaders({"Authentication-Info": 'qop=auth, nextnonce="n2"'})
    assert not attempt.take(200, information)
    seen = parameters_of(DigestAttempt(memory, LOGIN))
    assert (seen["nonce"], seen["nc"]) == ("n2", "00000001")


def test_a_proxy_asks_in_headers_of_its_own() -> None:
    attempt = DigestAttempt(DigestMemory(), LOGIN, with_proxy=True)
    challenge = "Digest realm=r, nonce=n"
    assert not attempt.take(401, challenging(challenge))
    assert not attempt.take(407, challenging(challenge))
    assert attempt.take(407, challenging(challenge, "Proxy-Authenticate"))


def test_what_is_remembered_is_bounded() -> None:
    memory = DigestMemory()
    challenge = challenging("Digest realm=r, nonce=n")
    for number in range(1001):
        assert DigestAttempt(memory, LOGIN._replace(space=number)).take(401, challenge)
        DigestAttempt(memory, LOGIN._replace(space=0))  # keeps the first one in use
    assert memory.find(LOGIN._replace(space=0))
    assert not memory.find(LOGIN._replace(space=1))
    assert memory.find(LOGIN._replace(space=2))
