"""How lines came about: everything that the database knows of it, for one line or for many at once."""

from collections.abc import Mapping, Sequence
from typing import Final

from billing.invoicing.behind.queries import Behind, usage_behind
from billing.invoicing.behind.terms import KnownTerms, known_terms
from billing.invoicing.explaining.agreed import agreed_of
from billing.invoicing.explaining.events import counted_for
from billing.invoicing.explaining.history import billed_with
from billing.invoicing.explaining.origins import origins_of, priced_by
from billing.invoicing.explaining.sentences import Sentence, sentences_of
from billing.invoicing.explaining.values import Agreed, Explanation
from billing.invoicing.models import Invoice, InvoiceLine
from billing.metering.months.errors import MonthDetached

WITH: Final = (
    "invoice__reverses", "invoice__issued_by", "slot", "stream__contract", "stream__subscription",
    "corrects__invoice", "corrects__stream", "charge",
)  # fmt: skip
"""What a line comes with that is to be explained."""


def explanation(line: InvoiceLine) -> Explanation:
    """How a line of any kind came about."""
    return explanations([line])[0]


def explanations_of(invoice: Invoice) -> list[Explanation]:
    """How each line of an invoice came about, in their order."""
    return explanations(list(invoice.lines.select_related(*WITH).order_by("position")))


def explanations(lines: Sequence[InvoiceLine]) -> list[Explanation]:
    """The same for many lines, in their order; the queries grow with computations and meters, not with lines.

    `lines` come with what `WITH` names.
    """
    prices = {line.pk: by for line in lines if (by := priced_by(line)) is not None}
    known = known_terms({each.pk: each for each in [*lines, *prices.values()]}.values())
    origins = origins_of(list({each.pk: each for each in prices.values()}.values()), known)
    agreed, billed = agreed_of(lines, known), billed_with(lines)
    usage, archived = _usage(lines, known)
    events = counted_for(usage.values(), known)
    return [
        Explanation(
            line=line, timezone=line.stream.contract.timezone,
            sentences=_sentences(line, agreed.get(line.pk, ())),
            origins=origins.get(prices[line.pk].pk, ()) if line.pk in prices else (),
            agreed=agreed.get(line.pk, ()), billed=billed[line.pk], usage=usage.get(line.pk),
            events=events.get(line.pk, 0), archived=line.pk in archived, known=known.get(line.pk),
        )
        for line in lines
    ]  # fmt: skip


def _sentences(line: InvoiceLine, agreed: Sequence[Agreed]) -> tuple[Sentence, ...]:
    return sentences_of(
        kind=line.kind, amount=line.amount, quantity=line.quantity, fraction=line.fraction,
        corrects=line.corrects_id is not None, steps=bool(line.steps), desired=line.desired,
        before=line.billed_before, of_charge=line.charge_id is not None,
        by_hand=agreed[0].kind if agreed else "", reverses=line.invoice.reverses_id is not None,
    )  # fmt: skip


def _usage(lines: Sequence[InvoiceLine], known: Mapping[int, KnownTerms]) -> tuple[dict[int, Behind], set[int]]:
    """The usage behind lines, and which lie in the archive: these are found out one by one."""
    try:
        return usage_behind(lines, known), set()
    except MonthDetached:
        if len(lines) == 1:
            return {}, {lines[0].pk}
    found: dict[int, Behind] = {}
    archived: set[int] = set()
    for line in lines:
        behind, gone = _usage([line], known)
        found |= behind
        archived |= gone
    return found, archived
