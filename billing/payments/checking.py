"""What holds for every amount of money that a person enters."""

from decimal import Decimal

from billing.money import round_money
from billing.payments.errors import WrongAmount
from customers.currencies import minor_places


def check_amount(amount: Decimal, currency: str) -> None:
    """WrongAmount unless it is above zero, finite, and no finer than the currency's minor unit."""
    if not amount.is_finite() or amount <= 0 or amount != round_money(amount, currency):
        raise WrongAmount(amount, currency, format(Decimal(1).scaleb(-minor_places(currency)), "f"))


def money_text(amount: Decimal, currency: str) -> str:
    """`USD 1,234.50`."""
    return f"{currency} {round_money(amount, currency):,f}"
