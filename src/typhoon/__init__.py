"""Typhoon: an asynchronous web framework, a production HTTP server and a networking toolkit."""

from typhoon._core import __version__

version = __version__
version_info = (*(int(part) for part in version.split(".")[:3]), 0)

__all__ = ["__version__", "version", "version_info"]
