"""AsyncHTTPTestCase and AsyncHTTPSTestCase."""

import ssl
import unittest
import warnings

import pytest

from typhoon.httpclient import HTTPError
from typhoon.testing import AsyncHTTPSTestCase, AsyncHTTPTestCase, gen_test
from typhoon.web import Application, RequestHandler


class Echo(RequestHandler):
    def get(self) -> None:
        self.write(f"{self.request.protocol} {self.request.uri}")

    def post(self) -> None:
        self.write(self.request.body)


def run(case: unittest.TestCase) -> unittest.TestResult:
    """The outcome of one test, every warning being an error."""
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case.run(result)
    return result


class Case(AsyncHTTPTestCase):
    def get_app(self) -> Application:
        return Application([("/echo", Echo)])

    def test_fetch(self) -> None:
        url = f"{self.get_protocol()}://127.0.0.1:{self.get_http_port()}/echo"
        assert self.get_url("/echo") == url
        for path in ("/echo", url, url.replace("http", "HTTP", 1)):
            assert self.fetch(path).body.decode() == f"{self.get_protocol()} /echo"
        assert self.fetch("/echo", method="POST", body="body").body == b"body"
        assert self.fetch("/missing").code == 404
        with pytest.raises(HTTPError, match="404"):
            self.fetch("/missing", raise_error=True)

    @gen_test
    async def test_coroutine(self) -> None:
        response = await self.http_client.fetch(self.get_url("/echo"))
        assert response.code == 200


class SecureCase(AsyncHTTPSTestCase, Case):
    def test_certificate(self) -> None:
        options = self.get_ssl_options()
        response = self.fetch("/echo", ca_certs=options["certfile"], validate_cert=True)
        assert response.body == b"https /echo"
        url = self.get_url("/echo").replace("127.0.0.1", "localhost")
        context = ssl.create_default_context(cafile=options["certfile"])
        assert self.fetch(url, ssl_options=context, allow_ipv6=False).code == 200


@pytest.mark.parametrize(
    "case",
    [
        Case("test_fetch"),
        Case("test_coroutine"),
        SecureCase("test_fetch"),
        SecureCase("test_coroutine"),
        SecureCase("test_certificate"),
    ],
    ids=str,
)
def test_cases(case: AsyncHTTPTestCase) -> None:
    result = run(case)
    assert result.wasSuccessful(), result.errors + result.failures
    assert not hasattr(case, "_app")
    assert not hasattr(case, "http_server")


def test_a_case_without_an_application_says_so() -> None:
    class Incomplete(AsyncHTTPTestCase):
        def test(self) -> None:
            pass

    ((_, text),) = run(Incomplete("test")).errors
    assert "Incomplete needs a method get_app that returns the application" in text


def test_options_reach_the_server() -> None:
    class Limited(Case):
        def get_httpserver_options(self) -> dict[str, int]:
            return {"max_body_size": 3}

        def test(self) -> None:
            assert self.fetch("/echo", method="POST", body="body").code == 413

    result = run(Limited("test"))
    assert result.wasSuccessful(), result.errors + result.failures
