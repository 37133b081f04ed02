"""How the books put months and amounts into sentences. Pure: no Django."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from customers.currencies import minor_places

MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]  # fmt: skip


def month_name(month: date) -> str:
    """E.g. “November 2023”, in English whatever the machine's locale."""
    return f"{MONTHS[month.month - 1]} {month.year}"


def money(amount: Decimal, currency: str) -> str:
    """E.g. “USD 1,234.50”: the ISO code, thousands separated, as many places as the currency has."""
    return f"{currency} {amount:,.{minor_places(currency)}f}"


def amounts(by_currency: Mapping[str, Decimal]) -> str:
    """E.g. “EUR 10.00 and USD 12.00”, by currency; “nothing” where there is none."""
    texts = [money(amount, currency) for currency, amount in sorted(by_currency.items())]
    return ", ".join(texts[:-1]) + (" and " if texts[:-1] else "") + texts[-1] if texts else "nothing"


def counted(number: int, noun: str) -> str:
    """E.g. “1 entry”, “3 entries”, “2 documents”."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"
