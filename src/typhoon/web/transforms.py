"""What changes responses on their way out."""

from typhoon.httputil import HTTPHeaders, HTTPServerRequest


class OutputTransform:
    """Changes a response on its way out. Made for each request; list them in `Application`."""

    def __init__(self, request: HTTPServerRequest) -> None:
        pass

    @property
    def passes_on(self) -> bool:
        """Whether the rest of the body goes out as it is: then files are sent by the kernel.

        Asked when the first chunk has been transformed.
        """
        return False

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """The head and the first piece of body, which is all of it if `finishing`."""
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        """Another piece of body, the last one if `finishing`."""
        return chunk
