"""What the page of a contract's agreements prints: its terms, its coupons, and what was done to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q

from billing.catalog.agreements.kinds import read_agreement
from billing.catalog.agreements.models import ContractTerm
from billing.catalog.agreements.timeline import Happened, timeline
from billing.catalog.agreements.wording import agreement_in_words, off_in_words
from billing.catalog.coupons.models import Coupon, Redemption
from billing.periods import local_date
from billing.pricing import PriceError
from customers.models import Contract


@dataclass(frozen=True)
class Row:
    """A dated fact of the table: what it is, what it says, and its days in the contract's zone."""

    fact: Any
    kind: str
    what: str
    about: str
    words: str
    start: date
    end: date | None
    now: bool


def term_rows(contract: Contract, now: datetime) -> list[Row]:
    """Every term that was ever agreed for the contract as a whole, by its start."""
    terms = ContractTerm.objects.filter(contract=contract).select_related("recorded_by", "superseded_by")
    return [term_row(term, contract, now) for term in terms.order_by("start", "pk")]


def coupon_rows(contract: Contract, now: datetime) -> list[Row]:
    """Every redemption that concerns the contract, its customer's too."""
    found = Redemption.objects.filter(Q(contract=contract) | Q(contract=None, customer=contract.customer_id))
    found = found.select_related("coupon", "recorded_by", "superseded_by").order_by("start", "pk")
    return [_redemption(each, contract.currency, local_date(now, contract.timezone)) for each in found]


def standing(rows: Iterable[Row]) -> list[Row]:
    """Those that hold, or will."""
    return [row for row in rows if row.fact.superseded_at is None]


def happened(rows: Sequence[Row]) -> list[Happened]:
    """Who did what, the latest first."""
    return timeline(rows, lambda row: "Agreed" if row.kind == "term" else "Applied")


def coupon_in_words(coupon: Coupon) -> str:
    """“10 % off, for 3 cycles, only tokens”."""
    lasts = {"once": "once", "forever": "for ever"}.get(coupon.duration, f"for {coupon.cycles} periods")
    scope = "" if coupon.scope == Coupon.Scope.ALL else f", only {' and '.join(coupon.codes)}"
    return f"{off_in_words(coupon.percentage, coupon.amount, coupon.currency)}, {lasts}{scope}"


def term_row(term: ContractTerm, contract: Contract, now: datetime) -> Row:
    """A term of the contract as its tables print it."""
    zone = contract.timezone
    try:
        words = agreement_in_words(read_agreement(term.kind, term.value), contract.currency)
    except PriceError as error:
        words = str(error)
    about = str(term.value.get("name", ""))
    if term.step:
        about = f"{about}, step {term.step} of {term.steps}".removeprefix(", ")
    return Row(
        term, "term", term.get_kind_display(), about, words, local_date(term.start, zone),
        local_date(term.end, zone) if term.end else None, term.start <= now and (term.end is None or now < term.end),
    )  # fmt: skip


def _redemption(each: Redemption, currency: str, today: date) -> Row:
    about = "this contract" if each.contract_id else "all contracts of the customer"
    if each.coupon.currency not in ("", currency):
        about += f", none here: it is in {each.coupon.currency}"
    running = each.start <= today and (each.end is None or today < each.end)
    return Row(
        each, "coupon", f"Coupon {each.coupon.code}", about, coupon_in_words(each.coupon), each.start, each.end, running
    )  # fmt: skip
