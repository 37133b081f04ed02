"""What was agreed with the customer, or said by hand, behind lines: the rows that keep it, with who, when and why."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model, Q, QuerySet

from billing.catalog.agreements.kinds import read_agreement
from billing.catalog.agreements.models import ContractTerm
from billing.catalog.agreements.wording import agreement_in_words, off_in_words
from billing.catalog.coupons.models import Redemption
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.values import SpendTerms
from billing.catalog.terms.wording import spend_in_words
from billing.invoicing.behind.terms import KnownTerms
from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.explaining.values import Agreed
from billing.invoicing.manual.models import ManualLine
from billing.invoicing.manual.states import ManualKind
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.slots import CONCESSION, MANUAL
from billing.invoicing.spend import named
from billing.money import plain
from billing.periods import local_midnight
from billing.pricing.words import Words
from customers.models import Contract

FACTS: Mapping[str, QuerySet[Any]] = {
    "coupon": Redemption.objects.select_related("coupon", "recorded_by"),
    "discount": ContractTerm.objects.select_related("recorded_by"),
    MANUAL: ManualLine.objects.select_related("recorded_by"),
    CONCESSION: Adjustment.objects.select_related("recorded_by"),
}
"""Where the facts are that slots are about by their number."""


def agreed_of(lines: Sequence[InvoiceLine], known: Mapping[int, KnownTerms]) -> dict[int, tuple[Agreed, ...]]:
    """What each line of no price of its own comes from, by its id; a query for each kind of fact that is met.

    Of a fact that was said anew, as it stood when the line was computed.
    """
    found = _by_number(lines, known)
    for line in lines:
        if line.invoice.reverses is not None:
            found[line.pk] = (_void(line.invoice), *found.get(line.pk, ()))
    spend = {line.pk: terms for line in lines if (terms := _spend_of(line, known.get(line.pk))) is not None}
    rows = _rows_of_spend(spend, known) if spend else {}
    for line_id, terms in spend.items():
        found[line_id] = (_of_spend(terms, rows.get(line_id), known[line_id].contract.currency),)
    return found


def said(kind: str, label: str, words: str, record: Any, **days: datetime | None) -> Agreed:
    """An agreement from the row that keeps it."""
    return Agreed(
        kind=kind, label=label, words=words, record=record, reason=record.reason, recorded_at=record.recorded_at,
        recorded_by=str(record.recorded_by or ""), **days,
    )  # fmt: skip


def _void(invoice: Invoice) -> Agreed:
    """Why a document reverses another."""
    return Agreed(
        kind="void", label="Voided", words=f"{invoice.reverses}, by {invoice}", record=invoice.reverses,
        reason=invoice.reversal_reason, recorded_at=invoice.issued_at, recorded_by=str(invoice.issued_by or ""),
    )  # fmt: skip


def _by_number(lines: Iterable[InvoiceLine], known: Mapping[int, KnownTerms]) -> dict[int, tuple[Agreed, ...]]:
    """Coupons, discounts, what was added by hand, and credits."""
    wanted: dict[str, dict[int, list[InvoiceLine]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        kind, _, number = (line.slot.about if line.slot else "").partition(" ")
        if kind in FACTS and number.isdecimal():
            wanted[kind][int(number)].append(line)
    found: dict[int, tuple[Agreed, ...]] = {}
    for kind, by_number in wanted.items():
        rows: dict[int, list[Any]] = defaultdict(list)
        for row in FACTS[kind].filter(Q(pk__in=by_number) | Q(first__in=by_number)).order_by("pk"):
            rows[row.identity].append(row)
        for key, group in by_number.items():
            for line in group:
                if row := _standing(rows[key], computed_at(known, line)):
                    found[line.pk] = (_fact(kind, row, line.stream.contract),)
    return found


def computed_at(known: Mapping[int, KnownTerms], line: InvoiceLine) -> datetime | None:
    """When a line was computed; None where that was not kept."""
    return known[line.pk].computed_at if line.pk in known else None


def _standing(rows: Sequence[Any], at: datetime | None) -> Any:
    """The row of a fact that stood at a time, or the last."""
    before = [row for row in rows if at is None or row.recorded_at <= at]
    return (before or rows or [None])[-1]


def _fact(kind: str, row: Any, contract: Contract) -> Agreed:
    currency = contract.currency
    if kind == "coupon":
        start, end = (local_midnight(day, contract.timezone) if day else None for day in (row.start, row.end))
        words = off_in_words(row.coupon.percentage, row.coupon.amount, currency)
        return said("coupon", "Coupon", f"{row.coupon.name}: {words}", row, start=start, end=end)
    if kind == "discount":
        words = agreement_in_words(read_agreement(row.kind, row.value), currency)
        return said("discount", "Discount", words, row, start=row.start, end=row.end)
    if kind == CONCESSION:
        words = f"{Words(currency, '').money(row.amount)}. {row.get_way_display()}"
        return said("credit", "Credit", words, row)
    label = "manual_off" if row.kind == ManualKind.DISCOUNT else "manual"
    return said(label, "Discount by hand" if label == "manual_off" else "Added by hand", _by_hand(row, currency), row)


def _by_hand(row: ManualLine, currency: str) -> str:
    """“2.5 × USD 80.10”, “less 10 %”, “USD 50.00”."""
    if row.percentage is not None:
        return f"less {plain(row.percentage)} %"
    if row.amount is not None:
        return Words(currency, "").money(row.amount)
    return f"{plain(row.quantity or Decimal(0))} × {Words(currency, '').money(row.unit_price or Decimal(0))}"


def _spend_of(line: InvoiceLine, known: KnownTerms | None) -> SpendTerms | None:
    """The agreement on spending that a line is about."""
    about = str(line.slot.dimensions.get("spend", "")) if line.slot else ""
    if not about or known is None or known.terms is None:
        return None
    whose = line.stream.key[0]
    return next((terms for name, terms in named(known.terms) if name == about and terms.subscription_id == whose), None)


def _rows_of_spend(spend: Mapping[int, SpendTerms], known: Mapping[int, KnownTerms]) -> dict[int, Model]:
    """The rows that keep agreements on spending, by line."""
    ids = {each.source.term_id for each in spend.values() if each.source and each.source.term_id}
    own = SubscriptionTerm.objects.select_related("recorded_by").in_bulk(list(ids))
    whole = {line: terms for line, terms in spend.items() if not (terms.source and terms.source.term_id)}
    found: dict[int, Model] = {
        line: own[terms.source.term_id]
        for line, terms in spend.items() if terms.source and terms.source.term_id in own
    }  # fmt: skip
    rows = ContractTerm.objects.filter(contract__in={known[line].contract.pk for line in whole}).order_by("pk")
    for row in rows.select_related("recorded_by") if whole else ():
        for line, terms in whole.items():
            same = row.contract_id == known[line].contract.pk and row.start == terms.period.start
            at = known[line].computed_at
            if same and _says(row, terms) and (at is None or row.recorded_at <= at):
                found[line] = row
    return found


def _says(row: ContractTerm, terms: SpendTerms) -> bool:
    """Whether a row says what these terms do, apart from its end."""
    return row.kind.startswith(terms.kind) and str(row.value.get("name") or terms.name) == terms.name


def _of_spend(terms: SpendTerms, row: Any, currency: str) -> Agreed:
    words = spend_in_words(terms, currency)
    days: dict[str, datetime | None] = {"start": terms.period.start, "end": terms.period.end}
    kind = "commitment" if terms.kind == "commitment" else f"{terms.kind}_spend"
    if row is None:
        return Agreed(kind, terms.name, words, None, terms.period.start, terms.period.end)
    return said(kind, terms.name, words, row, **days)
