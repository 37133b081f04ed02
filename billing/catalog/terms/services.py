"""The verbs of customers' own terms. Each checks, writes, and lets the terms resolve once: what does not fit is taken
back. The next run credits and charges what a term changes, in the past too.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.catalog.drafting import charge_code, set_prices
from billing.catalog.models import Charge, ChargeCode, Subscription
from billing.catalog.terms import checking, writing
from billing.catalog.terms.dates import check_cut, instant, term_period
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.states import RAMPED, TermKind
from billing.metering.models import Meter
from billing.periods import Period

Day = date | datetime
Value = Mapping[str, Any]


def set_term(
    *, subscription: Subscription, kind: str, value: Value, start: Day, reason: str, user: AbstractBaseUser | None,
    now: datetime, code: str = "", end: Day | None = None, periods: int | None = None, meter: Meter | None = None,
) -> SubscriptionTerm:  # fmt: skip
    """Agree a term over `[start, end)`, or for `periods` billing periods, the first of which contains the start.

    `value` is as docs/terms.md says for the kind; `code` names the charge, "" all of them. TermsError, Overlap: nothing
    is kept then.
    """
    period = term_period(subscription.contract, start, end, periods)
    row = _row(subscription, kind, value, period, code=code, meter=meter, periods=periods)
    writing.write(subscription, [row], [], reason=reason, user=user, now=now)
    return row


def make_ramp(
    *, subscription: Subscription, kind: str, steps: Sequence[tuple[Day, Value]], reason: str,
    user: AbstractBaseUser | None, now: datetime, code: str = "", end: Day | None = None,
) -> list[SubscriptionTerm]:  # fmt: skip
    """Agree a row of steps known in advance: each holds from its day to the next one's, the last until `end`."""
    if kind not in RAMPED:
        raise TermsError(f"Steps can be made of {_labels(RAMPED)}, not of “{TermKind(kind).label.lower()}”.")
    if len(steps) < 2:
        raise TermsError("A ramp has two steps or more: add one, or set a single term.")
    starts = [instant(day, subscription.contract) for day, _ in steps]
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise TermsError("Each step of a ramp starts after the one before: sort them by day.")
    ramp, rows = uuid4(), []
    for place, ((day, value), until) in enumerate(zip(steps, [*starts[1:], end], strict=True), 1):
        period = term_period(subscription.contract, day, until, None)
        row = _row(subscription, kind, value, period, code=code, path=f"steps[{place - 1}]")
        row.ramp, row.step, row.steps = ramp, place, len(steps)
        rows.append(row)
    writing.write(subscription, rows, [], reason=reason, user=user, now=now)
    return rows


def add_charge(
    *, subscription: Subscription, code: str, charge: Charge, price: Value, start: Day, reason: str,
    user: AbstractBaseUser | None, now: datetime, end: Day | None = None, periods: int | None = None,
) -> SubscriptionTerm:  # fmt: skip
    """Agree a charge that the plan does not have: an unsaved one, and its price as JSON in the contract's currency.

    Its code may be new; one that the plan version has must be removed for that time.
    """
    period = term_period(subscription.contract, start, end, periods)
    priced = checking.price_json(price, subscription.contract.currency)
    with transaction.atomic():
        charge.subscription, charge.code = subscription, charge_code(product=subscription.product, code=code)
        checking.check_charge(charge, priced)
        charge.save(force_insert=True)
        set_prices(charge=charge, prices=[priced])
        row = SubscriptionTerm(
            subscription=subscription, kind=TermKind.ADD, code=charge.code, charge=charge, value={},
            start=period.start, end=period.end, periods=periods,
        )  # fmt: skip
        writing.write(subscription, [row], [], reason=reason, user=user, now=now)
    return row


def remove_charge(
    *, subscription: Subscription, code: str, start: Day, reason: str, user: AbstractBaseUser | None, now: datetime,
    end: Day | None = None, periods: int | None = None,
) -> SubscriptionTerm:  # fmt: skip
    """Let a charge of the plan not hold for this customer; what was billed of a fee for that time is credited."""
    return set_term(
        subscription=subscription, kind=TermKind.REMOVE, value={}, code=code, start=start, end=end, periods=periods,
        reason=reason, user=user, now=now,
    )  # fmt: skip


def end_term(
    *, term: SubscriptionTerm, at: Day, reason: str, user: AbstractBaseUser | None, now: datetime
) -> SubscriptionTerm:
    """Let a term end at `at`, earlier or later than it was to; what it did before stands."""
    until = instant(at, term.subscription.contract)
    check_cut(term.subscription.contract, until)
    if until <= term.start:
        raise TermsError(f"“{term}” would end before it starts: undo it instead, as if it had never been agreed.")
    if until == term.end:
        raise TermsError(f"“{term}” ends then already.")
    fresh = SubscriptionTerm(replaces=term, end=until, **{name: getattr(term, name) for name in writing.KEPT})
    writing.write(term.subscription, [fresh], [term], reason=reason, user=user, now=now)
    return fresh


def undo_term(
    *, term: SubscriptionTerm, reason: str, user: AbstractBaseUser | None, now: datetime, whole_ramp: bool = False
) -> None:
    """Take a term back as if it had never been agreed, or with `whole_ramp` all steps of its ramp.

    What was billed under it is credited and charged anew by the next run.
    """
    rows = [term]
    if whole_ramp and term.ramp:
        rows = list(SubscriptionTerm.objects.filter(ramp=term.ramp, superseded_at=None).order_by("start"))
    writing.write(term.subscription, [], rows, reason=reason, user=user, now=now)


def _row(
    subscription: Subscription, kind: str, value: Value, period: Period, *, code: str, path: str = "value",
    meter: Meter | None = None, periods: int | None = None,
) -> SubscriptionTerm:  # fmt: skip
    """An unsaved row, its value checked and canonical; the charge and the meter as the kind asks for them."""
    if kind not in TermKind.values or kind == TermKind.ADD:
        raise TermsError(f"“{kind}” is no kind of term that can be set; there are {_labels(TermKind)}.")
    canonical = checking.value_json(kind, value, subscription.contract.currency, path)
    period = checking.committed(subscription.contract, canonical, period)
    return SubscriptionTerm(
        subscription=subscription, kind=kind, code=_code(subscription, kind, code, canonical), value=canonical,
        meter=checking.meter_for(kind, meter), start=period.start, end=period.end, periods=periods,
    )  # fmt: skip


def _code(subscription: Subscription, kind: str, code: str, value: Value) -> ChargeCode | None:
    """The charge code that the term is about; None for all charges."""
    checking.check_about(kind, code, value)
    if not code:
        return None
    found = ChargeCode.objects.filter(product_id=subscription.product_id, code=code).first()
    if found is None:
        raise TermsError(f"{subscription} has no charge “{code}”: choose one that it has, or add it.")
    return found


def _labels(kinds: Iterable[str]) -> str:
    return ", ".join(f"“{TermKind(kind).label.lower()}”" for kind in kinds)
