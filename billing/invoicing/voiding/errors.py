"""Business failures of voiding."""

from collections.abc import Sequence

from billing.invoicing.errors import InvoicingError


class BadVoid(InvoicingError):
    """What was asked for cannot be voided, or no waiver can be taken back there."""


class BuiltUpon(InvoicingError):
    """Later documents stand on what this one billed."""

    def __init__(self, invoice: object, later: Sequence[object]) -> None:
        names = ", ".join(map(str, later))
        super().__init__(
            f"{invoice} cannot be voided: {names} build{'s' * (len(later) == 1)} on its lines. Send back what is "
            "approved, and void what is issued, the latest first."
        )
