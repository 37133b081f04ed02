"""What a rehearsal cannot tell."""

from billing.invoicing.errors import InvoicingError


class CannotAssume(InvoicingError):
    """Usage cannot be assumed as it was asked."""


class BadUsageFile(ValueError):
    """A file of assumed usage that cannot be read; the sentence names the line and the way out."""
