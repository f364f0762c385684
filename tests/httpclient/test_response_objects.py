"""Responses, and the errors that they are."""

import copy
import weakref

import pytest

from support import without_collector
from typhoon.httpclient import HTTPClientError, HTTPError, HTTPRequest, HTTPResponse


def test_a_response_has_the_usual_phrase_and_an_empty_body() -> None:
    response = HTTPResponse(HTTPRequest("http://x/"), 204)
    assert response.reason == "No Content"
    assert response.body == b""
    assert response.headers == {}
    assert response.effective_url == "http://x/"
    assert response.error is None
    assert response.time_info == {}
    response.rethrow()
    assert repr(response).startswith("HTTPResponse(")
    assert "code=204" in repr(response)


def test_a_status_that_is_no_success_is_an_error() -> None:
    response = HTTPResponse(HTTPRequest("http://x/"), 404, reason="Gone Fishing")
    with pytest.raises(HTTPError) as caught:
        response.rethrow()
    assert caught.value.code == 404
    assert caught.value.response is response
    assert response.error is caught.value
    assert str(caught.value) == repr(caught.value) == "HTTP 404: Gone Fishing"


def test_a_response_and_its_error_are_freed_at_once() -> None:
    with without_collector():
        response = HTTPResponse(HTTPRequest("http://x/"), 404)
        gone = weakref.ref(response)
        with pytest.raises(HTTPError) as caught:
            response.rethrow()
        del response, caught
        assert gone() is None


def test_an_error_can_be_set() -> None:
    response = HTTPResponse(HTTPRequest("http://x/"), 404)
    response.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        response.rethrow()


def test_errors_have_a_message_and_can_be_copied() -> None:
    error = HTTPClientError(403)
    assert str(error) == "HTTP 403: Forbidden"
    assert str(HTTPClientError(700)) == "HTTP 700: Unknown"
    other = copy.copy(error)
    assert (other.code, other.message) == (403, "Forbidden")
