"""What goes wrong between two sites."""


class AuthError(Exception):
    """The other site did not say, or not credibly, who the user is."""
