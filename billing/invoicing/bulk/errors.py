"""What is wrong with a bulk action."""

from billing.invoicing.errors import InvoicingError


class NothingToMove(InvoicingError):
    """None of the chosen invoices can be taken: each waits in a bulk action already."""

    def __init__(self) -> None:
        super().__init__("Each of these invoices waits in a bulk action already: see “Bulk actions” for how far it is.")


class BulkOver(InvoicingError):
    """It has ended: there is nothing left to cancel."""

    def __init__(self, action: object) -> None:
        super().__init__(f"{str(action).capitalize()} has ended: nothing is left to cancel.")
