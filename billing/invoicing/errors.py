"""Business failures of invoicing, each with a sentence that names the thing and the way out."""


class InvoicingError(ValueError):
    """Base of this package's failures."""
