"""The cases of `manage.py cycles`: terms, or one change, as JSON in; what is invoiced, and when, as JSON out.

Pure: no Django, no database, no clock.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from billing.invoicing.case_fields import (
    cadence_of,
    calendar_of_terms,
    choice,
    currency_of,
    day_of,
    given,
    moment_of,
    price_of,
    timezone_of,
)
from billing.invoicing.foreseen import Change, Entry, Fee, foreseen
from billing.money import round_money
from billing.periods import Period, local_date, local_midnight, share
from billing.pricing import Price, PriceError, price_to_json, rate
from billing.pricing.fields import Fields
from billing.pricing.prices import Flat

PRORATIONS: Final = ("day", "second", "month30", "none")
MOST_PERIODS: Final = 100_000
_TERMS: Final = (
    "cadence", "start", "end", "anchor_day", "anchor_month", "timezone", "pay", "proration", "stub_divisor",
    "trial_end", "amount", "discounts", "currency", "changes",
)  # fmt: skip
_CHANGE: Final = ("at", "amount", "discounts", "cadence", "restart", "credit")
_PRORATE: Final = (
    "period", "at", "old_amount", "new_amount", "proration", "timezone", "currency", "old_discounts",
    "new_discounts", "paid", "credited",
)  # fmt: skip


def cycles_case(case: object) -> dict[str, Any]:
    """One case's answer: its periods, or its proration, or the error with its path."""
    identifier = case.get("id") if isinstance(case, dict) else None
    try:
        return {"id": identifier, **_answer(case)}
    except PriceError as error:
        return {"id": identifier, "error": error.to_json()}


def _answer(case: object) -> dict[str, Any]:
    example = 'Write a case such as {"terms": {}, "through": "2026-12-31"} or {"prorate": {}}'
    if not isinstance(case, dict):
        raise PriceError("not_an_object", f"{example}, not {case!r}.", "")
    known = ("id", "prorate") if "prorate" in case else ("id", "terms", "through")
    for key in case:
        if key not in known:
            raise PriceError("unknown_key", f"{key!r} is no key of such a case; it takes {', '.join(known)}.", str(key))
    if "prorate" in case:
        return _prorated(Fields(case["prorate"], "prorate"))
    for key in ("terms", "through"):
        if key not in case:
            raise PriceError("missing_key", f"{key!r} is missing; {example[0].lower()}{example[1:]}.", key)
    return _periods(Fields(case["terms"], "terms"), case["through"])


def _periods(fields: Fields, through: object) -> dict[str, Any]:
    """What the terms are invoiced for on or before the day."""
    fields.only(_TERMS, "terms")
    fee = _fee(fields)
    changes = _changes(fields, fee)
    timezone = fee.calendar.timezone
    last = day_of(through, "through")
    cadences = [fee.calendar.cadence, *(each.cadence for each in changes if each.cadence)]
    shortest = min(cadence.days or cadence.months * 28 for cadence in cadences)
    if (last - local_date(fee.term.start, timezone)).days // shortest > MOST_PERIODS:
        raise PriceError(
            "out_of_range", f"That is more than {MOST_PERIODS:,} periods; choose an earlier day.", "through"
        )
    entries = foreseen(fee, changes, local_midnight(last + timedelta(days=1), timezone))
    return {"periods": [_shown(each, timezone, given(fields, "amount")) for each in entries]}


def _fee(fields: Fields) -> Fee:
    """The fee as it was agreed first; without an amount, its periods are still known."""
    timezone, currency = timezone_of(fields), currency_of(fields)
    start = moment_of(fields.required("start"), timezone, fields.at("start"))
    end = moment_of(fields.obj["end"], timezone, fields.at("end")) if given(fields, "end") else None
    if end is not None and end < start:
        message = "The terms end before they start; let them end at the start or later."
        raise PriceError("invalid_period", message, fields.at("end"))
    return Fee(
        calendar=calendar_of_terms(fields, start, timezone),
        term=Period(start, end),
        price=price_of(fields, currency) if given(fields, "amount") else _without_amount(fields, currency),
        proration=choice(fields, "proration", PRORATIONS, "day"),
        in_advance=choice(fields, "pay", ("in_advance", "in_arrears"), "in_advance") == "in_advance",
        free=_trial(fields, start, timezone),
    )


def _without_amount(fields: Fields, currency: str) -> Price:
    for key in ("discounts", "changes"):
        if fields.obj.get(key):
            raise PriceError("missing_key", f"'amount' is missing, and {key} need one; add it.", fields.at("amount"))
    return Price(Flat(Decimal(0)), currency)


def _trial(fields: Fields, start: datetime, timezone: str) -> Period | None:
    if not given(fields, "trial_end"):
        return None
    day = day_of(fields.obj["trial_end"], fields.at("trial_end"))
    if day < local_date(start, timezone):
        message = "The trial ends before the terms start; let it end on the start's day or later."
        raise PriceError("invalid_period", message, fields.at("trial_end"))
    return Period(start, max(start, local_midnight(day, timezone)))


def _changes(fields: Fields, fee: Fee) -> list[Change]:
    """The changes in order of their time; what one does not name stays as it was."""
    if not given(fields, "changes"):
        return []
    rows = fields.objects("changes")
    read = [(_change(row, fee), row) for row in rows]
    found: list[Change] = []
    discounts = price_to_json(fee.price).get("discounts")
    for change, row in sorted(read, key=lambda each: each[0].at):
        price = price_of(row, fee.price.currency, discounts=discounts)
        discounts = price_to_json(price).get("discounts")
        found.append(replace(change, price=price))
    return found


def _change(row: Fields, fee: Fee) -> Change:
    row.only(_CHANGE, "a change")
    at = moment_of(row.required("at"), fee.calendar.timezone, row.at("at"))
    if at < fee.term.start:
        message = "The change lies before the terms start; let it take effect at the start or later."
        raise PriceError("invalid_period", message, row.at("at"))
    cadence = cadence_of(row) if given(row, "cadence") else None
    restart = row.flag("restart", cadence is not None) if given(row, "restart") else False
    if cadence and given(row, "restart") and not restart:
        message = "Another cadence begins a cycle at the change; leave restart out."
        raise PriceError("unsupported", message, row.at("restart"))
    credited = choice(row, "credit", ("prorated", "none"), "prorated") == "prorated"
    return Change(at, fee.price, cadence, restart=restart, credited=credited)


def _shown(entry: Entry, timezone: str, priced: bool) -> dict[str, Any]:
    """An entry as JSON; a credit names the place of its charge."""
    shown = {
        "start": _moment(entry.period.start, timezone),
        "end": _moment(entry.period.until, timezone),
        "full_start": _moment(entry.full.start, timezone),
        "full_end": _moment(entry.full.until, timezone),
        "fraction": str(entry.fraction),
        "invoice_on": entry.invoice_on.isoformat(),
        "amount": format(entry.amount, "f") if priced else None,
    }
    return shown if entry.credit_for is None else shown | {"credit_for": entry.credit_for}


def _moment(at: datetime, timezone: str) -> str:
    """A local date where the instant is its first; else the instant, in UTC."""
    day: date = local_date(at, timezone)
    if local_midnight(day, timezone) == at:
        return day.isoformat()
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _prorated(fields: Fields) -> dict[str, Any]:
    """What one change in a period credits and charges."""
    fields.only(_PRORATE, "a proration")
    timezone, currency = timezone_of(fields), currency_of(fields)
    period = _period(fields, timezone)
    at = min(max(moment_of(fields.required("at"), timezone, fields.at("at")), period.start), period.until)
    old, new = (_amount(fields, prefix, currency) for prefix in ("old_", "new_"))
    fraction = _after(period, at, choice(fields, "proration", PRORATIONS, "day"), timezone)
    unused = max(old * fraction, Fraction(0))
    if given(fields, "paid"):
        credited = fields.number("credited", minimum=0) if given(fields, "credited") else Decimal(0)
        unused = min(unused, max(Fraction(fields.number("paid", minimum=0)) - Fraction(credited), Fraction(0)))
    credit, charge = round_money(-unused, currency), round_money(new * fraction, currency)
    amounts = {"credit": credit, "charge": charge, "net": round_money(credit + charge, currency)}
    return {"fraction": str(fraction)} | {key: format(amount, "f") for key, amount in amounts.items()}


def _period(fields: Fields, timezone: str) -> Period:
    bounds = fields.required("period")
    path = fields.at("period")
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise PriceError("invalid_period", f"Write a list of start and end here, not {bounds!r}.", path)
    start, end = (moment_of(bound, timezone, f"{path}[{index}]") for index, bound in enumerate(bounds))
    if end <= start:
        raise PriceError("invalid_period", "The period has no length; let it end after it starts.", path)
    return Period(start, end)


def _amount(fields: Fields, prefix: str, currency: str) -> Fraction:
    """A full period's amount after its discounts."""
    return Fraction(rate(price_of(fields, currency, prefix), Decimal(1)).unrounded)


def _after(period: Period, at: datetime, proration: str, timezone: str) -> Fraction:
    """The share of the period after the instant; without proration, a change in it waits for the next (R4.3)."""
    if proration == "none" and at > period.start:
        return Fraction(0)
    try:
        return share(Period(at, period.end), period, proration, timezone)
    except ValueError as error:
        raise PriceError("invalid_period", f"{error} Choose a longer one, or 'second'.", "prorate.period") from None
