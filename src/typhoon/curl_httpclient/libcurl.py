"""The package ``pycurl``, or what to do where it is missing."""

try:
    import pycurl  # type: ignore[import-untyped,unused-ignore]
except ImportError as error:
    raise ImportError(
        "typhoon.curl_httpclient needs pycurl: pip install typhoon[curl]", name="pycurl"
    ) from error

__all__ = ["pycurl"]
