"""Whether what somebody adds by hand makes a line: each refusal names the field and the way out."""

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from billing.invoicing.fonts import unprintable
from billing.invoicing.manual.errors import BadManual
from billing.invoicing.manual.models import ManualLine
from billing.invoicing.manual.queries import as_terms
from billing.invoicing.manual.rules import worth
from billing.invoicing.manual.states import ManualKind
from billing.money import plain, round_money
from billing.periods import local_midnight
from customers.currencies import minor_places
from customers.models import Contract

MOST: Final = Decimal(10) ** 12
"""No line made by hand comes to more; it is far beyond any invoice, and keeps sums within what is stored."""


def checked_text(text: str, most: int, what: str) -> str:
    """The text without blanks around it; BadManual for none, a long one, or one that a document cannot show."""
    text = text.strip()
    if not text or len(text) > most:
        raise BadManual(f"Write the {what} in 1 to {most} characters.")
    if missing := unprintable(text):
        raise BadManual(f"The document cannot show “{''.join(missing)}”: write the {what} with other characters.")
    return text


def check_line(line: ManualLine) -> None:
    """Whether a line or a discount can be billed in its contract's currency; BadManual says why not."""
    line.text = checked_text(line.text, 150, "text")
    line.unit = line.unit.strip()
    _check_amount(line)
    if line.end <= line.start:
        raise BadManual("The service ends before it begins: its last day is the first one or a later one.")
    if line.kind == ManualKind.LINE:
        total = worth(as_terms(line), line.contract.currency)
        if not total:
            raise BadManual("This line comes to nothing: give an amount, or a quantity and a unit price.")
        if abs(total) >= MOST:
            raise BadManual(f"This line comes to {plain(total)}: a line made by hand stays below {plain(MOST)}.")


def _check_amount(line: ManualLine) -> None:
    """Either an amount in minor units of the currency, or what takes its place."""
    currency, priced = line.contract.currency, line.quantity is not None or line.unit_price is not None
    if line.kind == ManualKind.DISCOUNT:
        if (line.amount is None) == (line.percentage is None):
            raise BadManual("Give either an amount or a percentage to take off.")
        if line.percentage is not None and not 0 < line.percentage <= 100:
            raise BadManual("A percentage off is above 0 and at most 100.")
        if line.amount is not None and line.amount <= 0:
            raise BadManual("An amount off is above 0: write 50, not -50.")
    elif (line.amount is None) != priced or priced and None in (line.quantity, line.unit_price):
        raise BadManual("Give either an amount, or a quantity and a unit price.")
    if line.amount is not None and line.amount != round_money(line.amount, currency):
        raise BadManual(f"{plain(line.amount)} is finer than {currency} has it: {minor_places(currency)} decimal places.")


def service_of(contract: Contract, first: date, last: date) -> tuple[datetime, datetime]:
    """From the start of the first day to the end of the last one, in the contract's zone."""
    zone = contract.timezone
    return local_midnight(first, zone), local_midnight(last + date.resolution, zone)
