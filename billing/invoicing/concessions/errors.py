"""Business failures of crediting."""

from billing.invoicing.errors import InvoicingError


class BadCredit(InvoicingError):
    """What was asked for is no credit of an issued invoice."""


class NoSuchLine(BadCredit):
    """A line of another invoice, or none."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"There is no such line on {invoice}: choose one of its lines.")


class TooMuch(InvoicingError):
    """More than a line, or an invoice, still stands for."""

    def __init__(self, what: object, rest: str) -> None:
        super().__init__(f"“{what}” stands for {rest} by now: credit at most that.")
