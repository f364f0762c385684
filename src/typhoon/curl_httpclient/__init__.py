"""The HTTP client on libcurl, for what the simple client does not do: HTTP/2, and more.

It needs the package ``pycurl``: ``pip install 'typhoon[curl]'``. To use it for every
`.AsyncHTTPClient`:

.. code-block:: python

    AsyncHTTPClient.configure("typhoon.curl_httpclient.CurlAsyncHTTPClient")

The logger ``typhoon.curl_httpclient`` (`curl_log`) tells, at the level DEBUG, what libcurl does and
the heads that it sends and receives, with the credentials that are in them.
"""

from typhoon.curl_httpclient.client import CurlAsyncHTTPClient
from typhoon.curl_httpclient.errors import CurlError
from typhoon.curl_httpclient.options import CR_OR_LF_RE
from typhoon.curl_httpclient.transfer import curl_log

__all__ = ["CR_OR_LF_RE", "CurlAsyncHTTPClient", "CurlError", "curl_log"]
