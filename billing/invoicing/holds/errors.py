"""What a hold refuses."""

from billing.invoicing.errors import InvoicingError


class OnHold(InvoicingError):
    """A contract fails a check: it gets no draft until the reason is gone or somebody releases it."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


class HoldError(InvoicingError):
    """A hold that cannot be released so; the message says why and what to do."""
