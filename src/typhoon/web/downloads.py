"""Files as responses of ordinary handlers."""


class DownloadsMixin:
    """How a handler sends a file."""
