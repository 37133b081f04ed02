"""What the pages of a move read: how it stands, whom it concerns, and what it would change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Abs

from billing.catalog.models import PlanVersion
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.queries import version_charges, versions_of
from billing.catalog.terms.values import ChargeTerms
from billing.catalog.wording import price_in_words
from billing.invoicing.terms import ContractTerms
from billing.invoicing.whatif import terms_under
from billing.moves.criteria import Criteria
from billing.moves.models import Move, MovedSubscription
from billing.moves.states import IN_EFFECT, MoveState, Outcome

STANDINGS: Final = {
    MoveState.DRAFT.value: "Draft",
    MoveState.SCHEDULED.value: "Scheduled",
    IN_EFFECT: "In effect",
    MoveState.CANCELLED.value: "Cancelled",
}
SORTS: Final = {
    "change": (Abs("change").desc(nulls_last=True), F("id").asc()),
    "up": (F("change").desc(nulls_last=True), F("id").asc()),
    "down": (F("change").asc(nulls_last=True), F("id").asc()),
    "percent": (Abs("percent").desc(nulls_last=True), F("id").asc()),
    "before": (F("before").desc(nulls_last=True), F("id").asc()),
    "customer": (F("subscription__contract__customer__legal_name").asc(), F("id").asc()),
    "day": (F("at").asc(nulls_last=True), F("id").asc()),
}
BANDS: Final = (
    ("20 % less or lower", None, -20), ("5 to 20 % less", -20, -5), ("up to 5 % less", -5, 0), ("the same", 0, 0),
    ("up to 5 % more", 0, 5), ("5 to 20 % more", 5, 20), ("20 % more or higher", 20, None),
)  # fmt: skip
"""Name and bounds in per cent; each band has the bound that lies further from zero."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the customers of one currency come to together, and how many fall into each of BANDS.

    `new` are those who paid nothing before and do then; `untold` those whose effect cannot be told.
    """

    currency: str
    customers: int
    before: Decimal
    after: Decimal
    bands: tuple[int, ...]
    new: int
    untold: int

    @property
    def change(self) -> Decimal:
        """How much more it comes to."""
        return self.after - self.before

    @property
    def percent(self) -> Decimal | None:
        """The change in per cent, None where nothing was paid."""
        return (self.change * 100 / abs(self.before)).quantize(Decimal("0.01")) if self.before else None


@dataclass(frozen=True, slots=True)
class Changed:
    """A charge under its old and its new terms in words; "" where one side has none."""

    name: str
    old: str
    new: str


def standing(move: Move, now: datetime) -> str:
    """A key of STANDINGS: a scheduled move is in effect once its first day has come."""
    begun = move.state == MoveState.SCHEDULED and move.first_at is not None and move.first_at <= now
    return IN_EFFECT if begun else move.state


def standing_filter(key: str, now: datetime) -> Q:
    """The moves that stand so."""
    begun = Q(state=MoveState.SCHEDULED, first_at__lte=now)
    if key == IN_EFFECT:
        return begun
    return Q(state=key) & ~begun if key == MoveState.SCHEDULED else Q(state=key)


def counts(move: Move) -> dict[tuple[str, str], int]:
    """How many rows have each outcome and kind of reason; one query."""
    rows = move.rows.order_by().values_list("outcome", "code").annotate(n=Count("id"))
    return {(outcome, code): n for outcome, code, n in rows}


def summaries(move: Move) -> list[Summary]:
    """Currency by currency, what those come to who move or moved; one query."""
    bands = {f"band{place}": Count("id", _band(*band[1:])) for place, band in enumerate(BANDS)}
    rows: Any = (
        MovedSubscription.objects.filter(move=move).exclude(outcome__in=[Outcome.LEFT_OUT, Outcome.REFUSED])
        .order_by("currency").values("currency")
        .annotate(
            customers=Count("id"),
            sum_before=Sum("before", default=Decimal(0)), sum_after=Sum("after", default=Decimal(0)),
            new=Count("id", Q(before=0) & ~Q(change=0)), untold=Count("id", Q(change=None)), **bands,
        )
    )  # fmt: skip
    return [
        Summary(
            row["currency"], row["customers"], row["sum_before"], row["sum_after"],
            tuple(row[name] for name in bands), row["new"], row["untold"],
        )
        for row in rows
    ]  # fmt: skip


def _band(low: int | None, high: int | None) -> Q:
    if low == high:
        return Q(change=0)
    found = ~Q(change=0) & Q(percent__isnull=False)
    if low is not None:
        found &= Q(percent__gte=low) if low >= 0 else Q(percent__gt=low)
    if high is not None:
        found &= Q(percent__lte=high) if high <= 0 else Q(percent__lt=high)
    return found


def rows_of(move: Move, *, outcome: str = "", currency: str = "", text: str = "", sort: str = "change"
            ) -> QuerySet[MovedSubscription]:  # fmt: skip
    """The move's subscriptions with what a table prints, the largest changes first unless sorted otherwise."""
    rows = MovedSubscription.objects.filter(move=move).select_related(
        "subscription__contract__customer", "from_version__plan"
    )
    if outcome:
        rows = rows.filter(outcome=outcome)
    if currency:
        rows = rows.filter(currency=currency)
    if text:
        contract = "subscription__contract"
        rows = rows.filter(
            Q(**{f"{contract}__customer__legal_name__icontains": text})
            | Q(**{f"{contract}__customer__external_id__iexact": text})
            | Q(**{f"{contract}__number__iexact": text})
        )
    return rows.order_by(*SORTS.get(sort, SORTS["change"]))


def file_rows(move: Move) -> Iterator[MovedSubscription]:
    """Every row of the move, the largest changes first, a chunk at a time."""
    yield from rows_of(move).iterator(chunk_size=2000)


def price_changes(move: Move) -> list[tuple[PlanVersion, str, list[Changed]]]:
    """For each version left and each currency: the plan's charges, old and new. Constant queries."""
    there = (
        move.rows.filter(from_version__isnull=False).order_by("from_version", "currency")
        .values_list("from_version", "currency").distinct()
    )  # fmt: skip
    pairs = [(version, currency) for version, currency in there if version is not None]
    versions = versions_of({move.target_id, *(version for version, _ in pairs)})
    found = []
    for version, currency in pairs:
        sides = [_priced(versions[each], currency) for each in (version, move.target_id)]
        found.append((versions[version], currency, side_by_side(*sides)))
    return found


def _priced(version: PlanVersion, currency: str) -> Sequence[ChargeTerms]:
    try:
        return version_charges(version, currency)
    except TermsError:
        return ()


def terms_of(row: MovedSubscription) -> tuple[list[Changed], str]:
    """A customer's terms at the move, old and new, own terms on top unless they end; or why they cannot be told."""
    assert row.from_version is not None  # whoever is left out has no terms to compare
    assert row.at is not None
    contract, pk = row.subscription.contract, row.subscription_id
    versions = versions_of({row.from_version.pk, row.move.target_id})
    ends = Criteria.from_json(row.move.choice).own_terms == "end"
    sides = []
    for version, without in ((row.from_version.pk, set[int]()), (row.move.target_id, {pk} if ends else set[int]())):
        terms = terms_under([contract], {pk: versions[version]}, without)[contract.pk]
        if not isinstance(terms, ContractTerms):
            return [], str(terms)
        held = [each for each in terms.intervals if each.subscription_id == pk and each.period.contains(row.at)]
        sides.append(held[0].charges if held else ())
    return side_by_side(*sides), ""


def side_by_side(old: Sequence[ChargeTerms], new: Sequence[ChargeTerms]) -> list[Changed]:
    """Charges of the same code in a line, those of the new terms first."""
    was, now = ({each.code_id: each for each in side} for side in (old, new))
    return [
        Changed(
            (now.get(code) or was[code]).name,
            _words(was[code]) if code in was else "", _words(now[code]) if code in now else "",
        )
        for code in {**now, **was}
    ]  # fmt: skip


def _words(charge: ChargeTerms) -> str:
    return price_in_words(charge.price, charge.unit)
