"""The verbs of what a contract as a whole agrees. The next run credits and charges the difference, in the past too."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from billing.catalog.agreements import writing
from billing.catalog.agreements.kinds import AgreedSpend, read_agreement
from billing.catalog.agreements.models import ContractTerm
from billing.catalog.agreements.states import AgreementKind
from billing.catalog.errors import Overlap
from billing.catalog.models import ChargeCode, Product
from billing.catalog.terms.checking import committed, price_json
from billing.catalog.terms.dates import check_cut, instant, term_period
from billing.catalog.terms.errors import TermsError
from billing.periods import local_date
from billing.pricing import PriceError
from customers.locks import lock_customers
from customers.models import Contract

Day = date | datetime
Value = Mapping[str, Any]
KEPT = ("contract_id", "kind", "value", "start", "ramp", "step", "steps")
LIMITS = (AgreementKind.MINIMUM_SPEND, AgreementKind.MAXIMUM_SPEND)


def agree(
    *, contract: Contract, kind: str, value: Value, start: Day, reason: str, user: AbstractBaseUser | None,
    now: datetime, end: Day | None = None, periods: int | None = None,
) -> ContractTerm:  # fmt: skip
    """Agree a term of the contract over `[start, end)`, or for `periods` billing periods.

    `value` is as docs/terms.md says. TermsError, Overlap: nothing is kept then.
    """
    row = _row(contract, kind, value, start, end, periods)
    _write(contract, [row], reason=reason, user=user, now=now)
    return row


def agree_ramp(
    *, contract: Contract, kind: str, steps: Sequence[tuple[Day, Value]], reason: str, user: AbstractBaseUser | None,
    now: datetime, end: Day | None = None,
) -> list[ContractTerm]:  # fmt: skip
    """Agree a row of steps, such as a commitment for each year: each holds from its day to the next one's."""
    if len(steps) < 2:
        raise TermsError("A ramp has two steps or more: add one, or agree a single term.")
    starts = [instant(day, contract) for day, _ in steps]
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise TermsError("Each step of a ramp starts after the one before: sort them by day.")
    ramp, rows = uuid4(), []
    for place, ((day, value), until) in enumerate(zip(steps, [*starts[1:], end], strict=True), 1):
        row = _row(contract, kind, value, day, until, None)
        row.ramp, row.step, row.steps = ramp, place, len(steps)
        rows.append(row)
    _write(contract, rows, reason=reason, user=user, now=now)
    return rows


def end_agreement(
    *, term: ContractTerm, at: Day, reason: str, user: AbstractBaseUser | None, now: datetime
) -> ContractTerm:
    """Let a term end at `at`, earlier or later than it was to: what it did stands, and what it cuts is prorated."""
    until = instant(at, term.contract)
    check_cut(term.contract, until)
    if until <= term.start:
        raise TermsError(f"“{term}” would end before it starts: undo it instead, as if it had never been agreed.")
    if until == term.end:
        raise TermsError(f"“{term}” ends then already.")
    fresh: ContractTerm = writing.ended(term, until, KEPT)
    with transaction.atomic():
        lock_customers([term.contract.customer_id])
        writing.superseded([term], reason=reason, user=user, now=now)
        writing.said([fresh], reason=reason, user=user, now=now)
    return fresh


def undo_agreement(
    *, term: ContractTerm, reason: str, user: AbstractBaseUser | None, now: datetime, whole_ramp: bool = False
) -> None:
    """Take a term back as if it had never been agreed; with `whole_ramp` all steps of its ramp."""
    with transaction.atomic():
        lock_customers([term.contract.customer_id])
        rows = [term]
        if whole_ramp and term.ramp:
            rows = list(ContractTerm.objects.filter(ramp=term.ramp, superseded_at=None).order_by("start"))
        writing.superseded(rows, reason=reason, user=user, now=now)


def _row(
    contract: Contract, kind: str, value: Value, start: Day, end: Day | None, periods: int | None
) -> ContractTerm:  # fmt: skip
    """An unsaved row, its value checked and canonical."""
    if kind not in AgreementKind.values:
        kinds = ", ".join(f"“{each}”" for each in AgreementKind.values)
        raise TermsError(f"“{kind}” is no kind of term of a contract; there are {kinds}.")
    canonical = _canonical(contract, kind, value)
    period = committed(contract, canonical, term_period(contract, start, end, periods))
    return ContractTerm(contract=contract, kind=kind, value=canonical, start=period.start, end=period.end)


def _canonical(contract: Contract, kind: str, value: Value) -> dict[str, Any]:
    found = dict(value)
    if "overage_prices" in found and isinstance(found["overage_prices"], dict):
        found["overage_prices"] = {
            code: price_json(price, contract.currency, f"value.overage_prices.{code}")
            for code, price in found["overage_prices"].items()
        }
    try:
        agreed = read_agreement(kind, found)
    except PriceError as error:
        raise TermsError(f"{error.path}: {error.message}") from error
    _check_codes(contract, found)
    if isinstance(agreed, AgreedSpend) and agreed.spend.overage_prices:
        _check_priced(agreed)
    return found


def _check_codes(contract: Contract, value: Value) -> None:
    """What it names is there: subscriptions of the contract, products, charge codes."""
    known = {
        "subscriptions": contract.subscriptions.values_list("code", flat=True),
        "products": Product.objects.values_list("code", flat=True),
        "charges": ChargeCode.objects.values_list("code", flat=True),
    }
    named = {key: list(value.get(key, [])) for key in known} | {
        "charges": [*value.get("charges", []), *value.get("overage_prices", {})]
    }
    for key, codes in named.items():
        missing = sorted(set(codes) - set(known[key].filter(code__in=codes))) if codes else []
        if missing:
            raise TermsError(f"There is no “{missing[0]}” among the {key}: choose one that there is.")


def _check_priced(agreed: AgreedSpend) -> None:
    """Other prices for what goes beyond are of charges that count."""
    stray = [code for code, _ in agreed.spend.overage_prices if agreed.spend.codes and code not in agreed.spend.codes]
    if stray:
        raise TermsError(f"“{stray[0]}” does not count for it: name it among the charges, or leave its price out.")


def _write(
    contract: Contract, rows: Sequence[ContractTerm], *, reason: str, user: AbstractBaseUser | None, now: datetime
) -> None:
    with transaction.atomic():
        lock_customers([contract.customer_id])
        for row in rows:
            if row.kind in LIMITS:
                _check_alone(contract, row)
        writing.said(rows, reason=reason, user=user, now=now)


def _check_alone(contract: Contract, row: ContractTerm) -> None:
    """Of limits on the same charges, one holds at a time."""
    others = ContractTerm.objects.filter(
        Q(end=None) | Q(end__gt=row.start), contract=contract, kind=row.kind, superseded_at=None
    )
    if row.end is not None:
        others = others.filter(start__lt=row.end)
    scope = ("subscriptions", "products", "charges")
    for other in others:
        if all(other.value.get(key, []) == row.value.get(key, []) for key in scope):
            since = local_date(other.start, contract.timezone)
            raise Overlap(
                f"“{row.get_kind_display()}” is agreed for the same charges from {since}: end or undo that one first."
            )
