"""Business failures of customer balances, each with a sentence that names the thing and the way out."""

from billing.payments.errors import PaymentsError


class BalanceTooSmall(PaymentsError):
    """More than the customer has."""

    def __init__(self, account: object, amount: str, balance: str) -> None:
        super().__init__(f"{amount} is more than the balance of {account}: enter {balance} at most.")


class NothingToApply(PaymentsError):
    """No balance, or nothing open to use it for."""

    def __init__(self, invoice: object) -> None:
        super().__init__(
            f"There is no balance to use for {invoice}, or nothing of it is open: look at the customer’s balance."
        )


class WhyMissing(PaymentsError):
    """A refund or a settlement that nobody could trace."""

    def __init__(self) -> None:
        super().__init__("Say how it was paid back or settled: the reason is kept with it.")
