"""Requests, before any client has them."""

import datetime

import pytest

from typhoon.httpclient import HTTPRequest


def test_a_request_takes_a_dictionary_of_headers_and_leaves_it_as_it_is() -> None:
    headers = {"A": "b"}
    request = HTTPRequest("http://x/", headers=headers, if_modified_since=1359312200)
    assert request.headers == {"A": "b", "If-Modified-Since": "Sun, 27 Jan 2013 18:43:20 GMT"}
    assert headers == {"A": "b"}
    request.headers = None  # type: ignore[assignment]
    assert request.headers == {}


@pytest.mark.parametrize(
    "since",
    [
        datetime.datetime(2013, 1, 27, 18, 43, 20),
        datetime.datetime(2013, 1, 27, 18, 43, 20, tzinfo=datetime.UTC),
    ],
)
def test_if_modified_since_takes_datetimes(since: datetime.datetime) -> None:
    request = HTTPRequest("http://x/", if_modified_since=since)
    assert request.headers["If-Modified-Since"] == "Sun, 27 Jan 2013 18:43:20 GMT"


def test_a_body_is_encoded() -> None:
    request = HTTPRequest("http://x/", body="é")
    assert request.body == b"\xc3\xa9"
    request.body = "è"  # type: ignore[assignment]
    assert request.body == b"\xc3\xa8"


def test_use_gzip_is_an_older_name() -> None:
    assert HTTPRequest("http://x/", use_gzip=False).decompress_response is False
    assert HTTPRequest("http://x/", use_gzip=False, decompress_response=True).decompress_response
