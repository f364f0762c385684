"""HTTP clients: the interface, and the requests and responses that all of them share.

`AsyncHTTPClient` is for coroutines, `HTTPClient` for programs without an event loop:

.. code-block:: python

    response = await AsyncHTTPClient().fetch("http://example.com/")
    print(response.body)

The implementation is that of `typhoon.simple_httpclient` unless another one is configured:
``AsyncHTTPClient.configure("typhoon.curl_httpclient.CurlAsyncHTTPClient")``.
"""

from typhoon.httpclient.blocking import HTTPClient
from typhoon.httpclient.client import AsyncHTTPClient
from typhoon.httpclient.command import main
from typhoon.httpclient.errors import HTTPClientError, HTTPError
from typhoon.httpclient.failures import Stage
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse

__all__ = [
    "AsyncHTTPClient",
    "HTTPClient",
    "HTTPClientError",
    "HTTPError",
    "HTTPRequest",
    "HTTPResponse",
    "Stage",
    "main",
]
