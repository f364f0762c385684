"""Signatures of OAuth 1.0: the RFC's examples, and oauthlib's opinion of many others."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from oauthlib.oauth1.rfc5849 import signature

from typhoon.auth.signatures import (
    base_string_uri,
    hmac_sha1,
    percent_encode,
    signature_base_string,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("abcXYZ019-._~", "abcXYZ019-._~"),
        ("a b+c", "a%20b%2Bc"),
        ("/?#[]@!$&'()*,;=:%", "%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2C%3B%3D%3A%25"),
        ("é☃", "%C3%A9%E2%98%83"),
        (b"\xff ", "%FF%20"),
        (12, "12"),
    ],
)
def test_percent_encoding(value, encoded):
    assert percent_encode(value) == encoded  # RFC 5849 §3.6


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        # RFC 5849 §3.4.1.2
        ("http://EXAMPLE.COM:80/r%20v/X?id=123", "http://example.com/r%20v/X"),
        ("https://www.example.net:8080/?q=1", "https://www.example.net:8080/"),
        ("https://www.example.net:443", "https://www.example.net/"),
        ("http://www.example.net:443/a#b", "http://www.example.net:443/a"),
        ("HTTP://user:password@[::1]:80/", "http://[::1]/"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"),
    ],
)
def test_base_string_uri(url, uri):
    assert base_string_uri(url) == uri


def test_the_base_string_of_the_rfc():
    parameters = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
        ("c2", ""),
        ("a3", "2 q"),
    ]
    url = "http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
    # RFC 5849 §3.4.1.1
    assert signature_base_string("post", url, parameters) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q"
        "%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_"
        "key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_m"
        "ethod%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk"
        "9d7dh3k39sjv7"
    )


@pytest.mark.parametrize(
    ("method", "url", "parameters", "token_secret", "expected"),
    [
        (
            "POST",
            "https://photos.example.net/initiate",
            {
                "oauth_timestamp": "137131200",
                "oauth_nonce": "wIjqoS",
                "oauth_callback": "http://printer.example.com/ready",
            },
            "",
            "74KNZJeDHnMBp0EMJ9ZHt/XKycU=",
        ),
        (
            "POST",
            "https://photos.example.net/token",
            {
                "oauth_token": "hh5s93j4hdidpola",
                "oauth_timestamp": "137131201",
                "oauth_nonce": "walatlh",
                "oauth_verifier": "hfdp7dh39dks9884",
            },
            "hdhd0244k9j7ao03",
            "gKgrFCywp7rO0OXSjdot/IHF7IU=",
        ),
        (
            "GET",
            "http://photos.example.net/photos?file=vacation.jpg&size=original",
            {
                "oauth_token": "nnch734d00sl2jdk",
                "oauth_timestamp": "137131202",
                "oauth_nonce": "chapoH",
            },
            "pfkkdhi9sl3r4s00",
            "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
        ),
    ],
    ids=["initiate", "token", "photos"],
)
def test_the_signatures_of_the_rfc(method, url, parameters, token_secret, expected):
    fixed = {"oauth_consumer_key": "dpf43f3p2l4k3l03", "oauth_signature_method": "HMAC-SHA1"}
    text = signature_base_string(method, url, [*fixed.items(), *parameters.items()])
    assert hmac_sha1(text, "kd94hf93k423kf44", token_secret) == expected  # RFC 5849 §1.2


texts = st.text(st.characters(codec="utf-8"), max_size=8)
pairs = st.lists(st.tuples(texts, texts), max_size=6)


@given(query=pairs, form=pairs, secret=texts, token_secret=texts)
@example(
    query=[("a", "~"), ("a b", "")], form=[("a", "*"), ("é", "+")], secret="&", token_secret=""
)
def test_signatures_are_those_of_oauthlib(query, form, secret, token_secret):
    url = f"https://API.example.com:8443/1.1/a%20b.json?{urlencode(query)}"
    collected = signature.collect_parameters(
        urlencode(query), urlencode(form), {}, exclude_oauth_signature=False
    )
    text = signature.signature_base_string(
        "POST",
        signature.base_string_uri(url),
        signature.normalize_parameters(collected),
    )
    ours = signature_base_string("POST", url, form)
    assert ours == text
    signed = signature._sign_hmac("SHA-1", text, secret, token_secret)
    assert hmac_sha1(ours, secret, token_secret) == signed
