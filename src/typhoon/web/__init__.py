"""A web framework with asynchronous features that let it hold many open connections.

Hello, world:

    import asyncio
    from typhoon.web import Application, RequestHandler

    class MainHandler(RequestHandler):
        def get(self):
            self.write("Hello, world")

    async def main():
        Application([(r"/", MainHandler)]).listen(8888)
        await asyncio.Event().wait()

    asyncio.run(main())
"""

from typhoon.httputil import HTTPServerRequest
from typhoon.legacy.asynchronous import asynchronous
from typhoon.routing import URLSpec
from typhoon.web.application import Application
from typhoon.web.compression import GZipContentEncoding
from typhoon.web.cookies.signing import (
    DEFAULT_SIGNED_VALUE_MIN_VERSION,
    DEFAULT_SIGNED_VALUE_VERSION,
    MAX_SUPPORTED_SIGNED_VALUE_VERSION,
    MIN_SUPPORTED_SIGNED_VALUE_VERSION,
    create_signed_value,
    decode_signed_value,
    get_signature_key_version,
)
from typhoon.web.decorators import addslash, authenticated, removeslash, stream_request_body
from typhoon.web.errors import Finish, HTTPError, MissingArgumentError
from typhoon.web.events import ServerSentEvent
from typhoon.web.files.static import StaticFileHandler
from typhoon.web.handler import RequestHandler
from typhoon.web.redirect import ErrorHandler, FallbackHandler, RedirectHandler
from typhoon.web.rendering import is_absolute
from typhoon.web.transforms import OutputTransform
from typhoon.web.uimodule import TemplateModule, UIModule

url = URLSpec

__all__ = [
    "DEFAULT_SIGNED_VALUE_MIN_VERSION",
    "DEFAULT_SIGNED_VALUE_VERSION",
    "MAX_SUPPORTED_SIGNED_VALUE_VERSION",
    "MIN_SUPPORTED_SIGNED_VALUE_VERSION",
    "Application",
    "ErrorHandler",
    "FallbackHandler",
    "Finish",
    "GZipContentEncoding",
    "HTTPError",
    "HTTPServerRequest",
    "MissingArgumentError",
    "OutputTransform",
    "RedirectHandler",
    "RequestHandler",
    "ServerSentEvent",
    "StaticFileHandler",
    "TemplateModule",
    "UIModule",
    "URLSpec",
    "addslash",
    "asynchronous",
    "authenticated",
    "create_signed_value",
    "decode_signed_value",
    "get_signature_key_version",
    "is_absolute",
    "removeslash",
    "stream_request_body",
    "url",
]
