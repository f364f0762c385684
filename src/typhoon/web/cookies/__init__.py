"""Cookies (RFC 6265): plain, signed and encrypted."""
