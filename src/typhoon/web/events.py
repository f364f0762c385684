"""Server-Sent Events (WHATWG HTML, section 9.2)."""


class EventsMixin:
    """How a handler sends events as they happen."""
