"""Who is signed in."""


class SignInMixin:
    """How a handler knows its user."""
