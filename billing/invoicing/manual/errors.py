"""Business failures of what is added to drafts by hand."""

from billing.invoicing.errors import InvoicingError


class BadManual(InvoicingError):
    """What was given makes no line, discount or note."""


class BilledAlready(InvoicingError):
    """A discount that is billed cannot be said anew."""

    def __init__(self, line: object, invoice: object) -> None:
        super().__init__(f"“{line}” is billed on {invoice}: take it back, and add another one.")


class NotOnDraft(InvoicingError):
    """The invoice was approved meanwhile, or the contract bills nothing there."""

    def __init__(self, invoice: object, state: str) -> None:
        super().__init__(
            f"Invoice {invoice} is {state} by now, so nothing can be changed on it by hand: send it back to draft first,"
            " or credit it if it is issued."
        )
