"""Business failures of invoicing, each with a sentence that names the thing and the way out."""


class InvoicingError(ValueError):
    """Base of this package's failures."""


class MissingPrice(InvoicingError):
    """A charge has no price in the contract's currency."""

    def __init__(self, charge: str, version: str, currency: str) -> None:
        super().__init__(
            f"“{charge}” of {version} has no price in {currency}: publish a version with one and move the subscription."
        )


class NegativeTotal(InvoicingError):
    """The delta of a contract is negative: it waits for charges that outweigh it."""

    def __init__(self, total: str) -> None:
        super().__init__(
            f"Credits outweigh charges by {total}: they wait for a later invoice that they can be set against."
        )


class WrongState(InvoicingError):
    """An invoice cannot make this move from the state it is in."""

    def __init__(self, invoice: object, state: str, wanted: str) -> None:
        super().__init__(f"Invoice {invoice} is {state}, so it cannot be {wanted}.")


class StaleDraft(InvoicingError):
    """A draft was computed from a base that has moved on."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"{str(invoice).capitalize()} is out of date: run billing again, then approve it.")


class LaterInvoice(InvoicingError):
    """A later invoice stands on this one."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"A later invoice builds on {invoice}: send that one back first.")
