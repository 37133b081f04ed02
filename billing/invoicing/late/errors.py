"""Failures of what waits, each with a sentence that names the thing and the way out."""

from billing.invoicing.errors import InvoicingError


class MustWait(InvoicingError):
    """A draft is not to be approved yet; `why` says what it waits for."""

    def __init__(self, invoice: object, why: str) -> None:
        super().__init__(f"{str(invoice).capitalize()} {why}. Approve it then, or approve it early with a reason.")


class BadPolicy(InvoicingError):
    """An invoicing policy does not fit what it is said for."""
