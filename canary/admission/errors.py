"""Why the server of admission can't work, in words."""


class NoCertificateError(Exception):
    """There is no certificate to serve with; the text says why, and what to do."""
