"""The locale of a request: what its user speaks."""


class LocaleMixin:
    """How a handler knows the language of its user."""
