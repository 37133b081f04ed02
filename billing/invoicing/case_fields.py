"""Reading the dates, instants and amounts of a case strictly: every problem is a PriceError with the path to it.

Pure: no Django, no clock.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from billing.cycles import BillingCalendar, Cadence, InvalidAnchor, InvalidCadence, StubDivisor
from billing.periods import UnknownTimezone, local_midnight, zone
from billing.pricing import Price, PriceError, parse_price
from billing.pricing.fields import Fields
from customers.currencies import UnknownCurrency, minor_places

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.,]+([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)")
_YEARS: Final = range(1900, 9001)
STUB_DIVISORS: Final[dict[str, StubDivisor]] = {"aligned": "aligned", "from_start": "from_start"}


def given(fields: Fields, key: str) -> bool:
    """Whether a key that may be left out has a value; null stands for its default."""
    return fields.obj.get(key) is not None


def choice(fields: Fields, key: str, choices: Sequence[str], default: str) -> str:
    """One of some words, or the default."""
    return fields.choice(key, choices, default) if given(fields, key) else default


def timezone_of(fields: Fields) -> str:
    """The name of a time zone; UTC by default."""
    name = fields.obj["timezone"] if given(fields, "timezone") else "UTC"
    try:
        zone(name)
    except (UnknownTimezone, TypeError):
        raise PriceError("unknown_timezone", str(UnknownTimezone(name)), fields.at("timezone")) from None
    return str(name)


def currency_of(fields: Fields) -> str:
    """The code of a currency; USD by default."""
    code = fields.obj["currency"] if given(fields, "currency") else "USD"
    try:
        minor_places(code)
    except (UnknownCurrency, TypeError) as error:
        raise PriceError("unknown_currency", str(error), fields.at("currency")) from None
    return str(code)


def price_of(fields: Fields, currency: str, prefix: str = "", discounts: object = None) -> Price:
    """The flat price of `amount` and `discounts`, whose keys begin with `prefix`; other discounts where it has none."""
    if fields.obj.get(f"{prefix}discounts") is not None:
        discounts = fields.obj[f"{prefix}discounts"]
    fields.required(f"{prefix}amount")
    price = {"model": "flat", "amount": fields.obj[f"{prefix}amount"], "currency": currency}
    try:
        return parse_price(price | ({} if discounts is None else {"discounts": discounts}), fields.path)
    except PriceError as error:
        where = fields.at(prefix + error.path.removeprefix(f"{fields.path}."))
        raise PriceError(error.code, error.message, where) from None


def day_of(value: object, path: str) -> date:
    """A date that exists, in years that can be counted with."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise PriceError("invalid_time", f"{_shown(value)} is no date; write it as 2026-01-31.", path)
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise PriceError("invalid_time", f"{value!r} is no date that exists; write another.", path) from None
    if day.year not in _YEARS:
        message = f"{value!r} is too far away; write a year from {_YEARS[0]} to {_YEARS[-1]}."
        raise PriceError("out_of_range", message, path)
    return day


def moment_of(value: object, timezone: str, path: str) -> datetime:
    """A date, which is its local midnight, or an instant with its zone; in UTC."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        return local_midnight(day_of(value, path), timezone)
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        message = f"{_shown(value)} is neither a date such as 2026-01-31 nor an instant such as 2026-01-31T09:30:00Z."
        raise PriceError("invalid_time", message, path)
    day_of(value[:10], path)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PriceError("invalid_time", f"{value!r} is no instant that exists; write another.", path) from None


def cadence_of(fields: Fields) -> Cadence:
    """A cadence, in the words of ISO 8601."""
    try:
        return Cadence.parse(fields.required("cadence"))
    except InvalidCadence as error:
        raise PriceError("invalid_cadence", str(error), fields.at("cadence")) from None


def calendar_of_terms(fields: Fields, start: datetime, timezone: str) -> BillingCalendar:
    """The calendar of terms: cadence, anchor and what a stub is divided by."""
    anchors = {key: fields.whole(key) for key in ("anchor_day", "anchor_month") if given(fields, key)}
    if "anchor_month" in anchors and cadence_of(fields).months == 1:
        message = "A month has no anchor month; leave it out, or choose a longer cadence."
        raise PriceError("invalid_anchor", message, fields.at("anchor_month"))
    divisor = STUB_DIVISORS[choice(fields, "stub_divisor", tuple(STUB_DIVISORS), "aligned")]
    try:
        return BillingCalendar(cadence_of(fields), start, timezone, stub_divisor=divisor, **anchors)
    except InvalidAnchor as error:
        raise PriceError("invalid_anchor", str(error), fields.at(error.field)) from None


def _shown(value: Any) -> str:
    """A value as an error names it, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
