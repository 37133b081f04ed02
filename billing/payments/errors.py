"""Business failures of payments, each with a sentence that names the thing and the way out."""


class PaymentsError(ValueError):
    """Base of this package's failures."""


class NotPayable(PaymentsError):
    """Only an issued invoice can be paid."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"{str(invoice).capitalize()} is not issued: issue it first, then record the payment.")


class TakesNoPayment(PaymentsError):
    """A credit note owes nothing."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"{invoice} is a credit note, which nothing is paid for: choose the invoice that was paid.")


class WrongAmount(PaymentsError):
    """An amount that no bank could have transferred in the invoice's currency."""

    def __init__(self, amount: object, currency: str, smallest: str) -> None:
        super().__init__(
            f"{amount} is no amount of money received in {currency}: enter {currency} {smallest} or a multiple of it."
        )


class NotYetReceived(PaymentsError):
    """A payment whose day has not come."""

    def __init__(self, received_on: object, today: object) -> None:
        super().__init__(f"{received_on} has not come yet: enter the day on which the money arrived, {today} at most.")


class Overpaid(PaymentsError):
    """More money than an invoice has open."""

    def __init__(self, invoice: object, amount: str, open_amount: str, *, settled: bool) -> None:
        way_out = (
            "It is paid already: record the payment on another open invoice, or return the money."
            if settled
            else f"Record {open_amount} here, and the rest on another open invoice."
        )
        super().__init__(f"{amount} is more than the {open_amount} that {invoice} has open. {way_out}")
