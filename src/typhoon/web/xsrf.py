"""Protection against requests that other sites make in a user's name."""


class XSRFMixin:
    """How a handler tells the requests of its own pages from forged ones."""
