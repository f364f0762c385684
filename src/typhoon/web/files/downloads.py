"""Files as responses of ordinary handlers."""

import datetime
import os
import re
import unicodedata
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from typhoon.iostream import StreamClosedError
from typhoon.web.errors import HTTPError
from typhoon.web.files import representation
from typhoon.web.files.openfile import OpenFile, absolute, open_file

if TYPE_CHECKING:
    from typhoon.web.handler import RequestHandler

_PLAIN_NAME = re.compile(r"[ !#$&'()*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z{|}~]*")
_EXTENDED_SAFE = "!#$&+-.^_`|~"
"""What needs no percent sign in an extended parameter, besides letters and digits (RFC 8187)."""


def content_disposition(filename: str, attachment: bool = True) -> str:
    """The value of a `Content-Disposition` header (RFC 6266): save, or show, under this name.

    Only the last part of a path counts, and characters that cannot be printed are replaced. A name
    that is not plain ASCII comes twice: as `filename*` (RFC 8187), and for old clients as close as
    ASCII comes to it.

    >>> content_disposition("Überblick.pdf")
    "attachment; filename=\\"Uberblick.pdf\\"; filename*=UTF-8''%C3%9Cberblick.pdf"
    """
    name = filename.replace("\\", "/").rpartition("/")[2]
    name = "".join(character if character.isprintable() else "_" for character in name).strip()
    if name in ("", ".", ".."):
        name = "download"
    kind = "attachment" if attachment else "inline"
    if _PLAIN_NAME.fullmatch(name):
        return f'{kind}; filename="{name}"'
    similar = "".join(
        character if _PLAIN_NAME.fullmatch(character) else "_"
        for character in unicodedata.normalize("NFKD", name)
        if not unicodedata.combining(character)
    )
    return f"{kind}; filename=\"{similar}\"; filename*=UTF-8''{quote(name, safe=_EXTENDED_SAFE)}"


class DownloadsMixin:
    """How a handler sends a file."""

    async def send_file(
        self,
        path: str | os.PathLike[str],
        filename: str | None = None,
        *,
        content_type: str | None = None,
        attachment: bool = True,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        """Answer with a file: all of the response, so that nothing may be written besides.

            async def get(self, number):
                invoice = await self.invoice(number)
                await self.send_file(invoice.path, f"Invoice {number}.pdf")

        The browser saves it as `filename` (by default that of the path), or shows it if
        `attachment` is false. `content_type` is by default told from the name. Ranges and
        conditional requests work as with `StaticFileHandler`; the entity tag is made of time and
        size, unless the handler has set `Etag`. Ends without an error if the client goes away.

        `path` is trusted: `OSError`, such as `FileNotFoundError`, if it cannot be opened, before
        anything has been sent. If it comes from the client, say below which directory it has to
        be: with `root`, `HTTPError` 403 for what lies elsewhere, through `..` or symbolic links
        as well, and 404 if nothing is there.

        `RuntimeError` if something has been written already.
        """
        handler = cast("RequestHandler", self)
        if handler._headers_written or handler._write_buffer:
            raise RuntimeError(
                "send_file() sends a whole response: do not call write() or flush() before it"
            )
        file = _open(path, root)
        try:
            name = filename or os.path.basename(file.path)
            if content_type is None:
                content_type = representation.content_type_of(name if "." in name else file.path)
            handler.set_header("Content-Type", content_type)
            handler.set_header("Content-Disposition", content_disposition(name, attachment))
            await _send(handler, file)
        finally:
            file.close()

    def send_bytes(
        self,
        data: bytes,
        filename: str,
        *,
        content_type: str | None = None,
        attachment: bool = True,
    ) -> None:
        """Answer with a file that is in memory: headers as those of `send_file`, and `write`."""
        handler = cast("RequestHandler", self)
        if content_type is None:
            content_type = representation.content_type_of(filename)
        handler.set_header("Content-Type", content_type)
        handler.set_header("Content-Disposition", content_disposition(filename, attachment))
        handler.write(data)


def _open(path: str | os.PathLike[str], root: str | os.PathLike[str] | None) -> OpenFile:
    if root is not None:
        directory = absolute(os.fspath(root))
        relative = os.fspath(path)
        file = representation.open_for_client(
            os.path.abspath(os.path.join(directory, relative)), directory, [directory], relative
        )
        if file.is_directory:
            raise HTTPError(403, "%s is not a file", relative)
        return file
    return open_file(os.path.abspath(path))


async def _send(handler: "RequestHandler", file: OpenFile) -> None:
    method = handler.request.method
    size = file.stat.st_size
    # Conditions and ranges are about what a GET would give (RFC 9110 §13.2.1, §14.2).
    if method not in ("GET", "HEAD") or handler.get_status() != 200:
        body = representation.whole(handler, file, size, include_body=method != "HEAD")
    else:
        modified = datetime.datetime.fromtimestamp(int(file.stat.st_mtime), datetime.UTC)
        handler.set_header("Accept-Ranges", "bytes")
        handler.set_header("Last-Modified", representation.http_date(modified))
        if "Etag" not in handler._headers:
            handler.set_header("Etag", f'"{file.stamp_tag()}"')
        if representation.is_another(handler, modified):
            raise HTTPError(412)
        if representation.is_not_modified(handler, modified):
            handler.set_status(304)
            return
        body = representation.answer(handler, file, size, method != "HEAD")
    if body is not None:
        await body
    elif handler.get_status() == 200:
        # Otherwise `finish` makes an entity tag of the body.
        try:
            await handler.flush()
        except StreamClosedError:
            pass  # the client is gone
