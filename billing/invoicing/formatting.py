"""Numbers, amounts and dates as a document prints them: in the customer's locale, with ISO codes, in a font we ship.

Places of amounts come from our ISO 4217 table, digits and order of dates from babel. Pure: no Django, no clock.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Final

from babel import Locale
from babel.dates import format_interval, format_skeleton
from babel.numbers import format_decimal

from billing.invoicing.fonts import printable, unprintable
from billing.invoicing.languages.labels import ENGLISH
from billing.periods import local_date
from customers.currencies import minor_places

MAX_PLACES: Final = 12
ADDEND_PLACES: Final = 6
SHORT_PLACES: Final = 4
_DIGITS: Final = 100
_PLAIN_LOCALE: Final = "en_GB"
# Names have numbers too: `large-20240229` stays as it is.
_NUMBER: Final = re.compile(r"(?<![\w.,])(?<!\w-)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?(?![\w,])(?!\.\d)(?!-\w)")
_DAY: Final = re.compile(r"^\d{4}-\d{2}-\d{2}(?=:|$| \d{2}:\d{2})")


class Format:
    """Writes values for one locale (a BCP 47 tag, e.g. de-DE) and one currency (ISO 4217)."""

    def __init__(self, *, locale: str, currency: str) -> None:
        self.locale = Locale.parse(locale.replace("-", "_"))
        self.dates = self.locale if _writes_months(str(self.locale)) else Locale.parse(_PLAIN_LOCALE)
        self.currency = currency
        self.places = minor_places(currency)
        self.grouping = (self.locale.decimal_formats[None].pattern or "#,##0").split(";")[0].split(".")[0]

    def amount(self, amount: Decimal) -> str:
        """`1,234.50`: grouped, exactly the places of the currency's minor unit."""
        return self._decimal(amount, self.places, self.places)

    def addend(self, amount: Decimal) -> str:
        """`300.281552`: a part of an amount before rounding, with at most six places; some have no end."""
        return self._decimal(amount, self.places, max(self.places, ADDEND_PLACES))

    def money(self, amount: Decimal) -> str:
        """`USD 1,234.50`: an amount with its ISO code."""
        return f"{self.currency} {self.amount(amount)}"

    def quantity(self, quantity: Decimal) -> str:
        """`1,234.5`: grouped, no trailing zeros, at most twelve places."""
        return self._decimal(quantity, 0, MAX_PLACES)

    def short(self, quantity: Decimal) -> str:
        """`1,234.5`: a quantity in a narrow column, with at most four places."""
        return self._decimal(quantity, 0, SHORT_PLACES)

    def short_day(self, day: date) -> str:
        """`30 Nov`, in the locale's order."""
        return printable(format_skeleton("MMMd", day, locale=self.dates))

    def day(self, day: date) -> str:
        """`30 Nov 2023`, in the locale's order."""
        return printable(format_skeleton("yMMMd", day, locale=self.dates))

    def month(self, day: date) -> str:
        """`Nov 2023`, in the locale's order."""
        return printable(format_skeleton("yMMM", day, locale=self.dates))

    def period(self, start: datetime, end: datetime, timezone: str) -> str:
        """`1–30 Nov 2023`: the days of `[start, end)` in that zone, first and last included."""
        first, last = local_date(start, timezone), local_date(end - timedelta(microseconds=1), timezone)
        if first == last:
            return self.day(first)
        days = printable(format_interval(first, last, "yMMMd", locale=self.dates))
        # Japanese and Chinese have no blanks: where the months differ, the line may break after the “to”.
        return days if (first.year, first.month) == (last.year, last.month) else re.sub("(?<=[～至])", " ", days)

    def label(self, label: str) -> str:
        """A label of a rating step, whose numbers (`1,000.5`), and a day at its beginning, are the locale's."""
        day = _DAY.match(label)
        if day is None:
            return _NUMBER.sub(self._number_of_label, label)
        time, colon, rest = label[day.end() :].partition(": ")
        return self.day(date.fromisoformat(day.group())) + time + colon + _NUMBER.sub(self._number_of_label, rest)

    def _number_of_label(self, found: re.Match[str]) -> str:
        whole, decimals = found.group(1).replace(",", ""), found.group(2) or ""
        places = len(decimals)
        return self._decimal(Decimal(f"{whole}.{decimals}" if decimals else whole), places, places)

    def _decimal(self, number: Decimal, least: int, most: int) -> str:
        fraction = "0" * least + "#" * (most - least)
        pattern = f"{self.grouping}.{fraction}" if fraction else self.grouping
        with localcontext(prec=_DIGITS):  # babel rounds in the thread's context, which is too short for some prices
            return printable(format_decimal(number or Decimal(0), format=pattern, locale=self.locale))


def share_in_days(
    start: datetime, end: datetime, share: str, timezone: str, labels: Mapping[str, str] = ENGLISH
) -> str:
    """`15 of 31 days` for a part and its share of a full period; empty for a full one.

    A share is a fraction's text such as `15/31`, which may be reduced (`1/2`): the days of the part tell the full
    number. A share that no whole number of days explains is printed as it is, and so is any other text.
    """
    try:
        fraction = Fraction(share) if share else Fraction(1)
    except ValueError:
        return share
    if fraction == 1:
        return ""
    days = (local_date(end, timezone) - local_date(start, timezone)).days
    full = days / fraction if fraction else Fraction(0)
    if days and full.denominator == 1:
        return labels["days_of"].format(days=days, full=full)
    return labels["share_of"].format(share=fraction)


def breakable(text: str, widest: int = 26) -> str:
    """The text with blanks inside words wider than a column; a wide character (kanji, kana) counts as two."""

    def parts(word: re.Match[str]) -> str:
        broken, width = "", 0
        for char in word.group():
            step = 2 if unicodedata.east_asian_width(char) in "WF" else 1
            if width + step > widest:
                broken, width = f"{broken} ", 0
            broken, width = broken + char, width + step
        return broken

    return re.sub(r"\S+", parts, text)


@cache
def _writes_months(locale: str) -> bool:
    """Whether the font can draw the locale's dates: those of Korean or Hindi it cannot."""
    days = (date(2024, month, 1) for month in range(1, 13))
    return not unprintable("".join(format_skeleton("yMMMd", day, locale=locale) for day in days))
