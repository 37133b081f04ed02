"""Recompute invoices from the facts as they were known, and hold them against what was recorded.

Invoices, and whatever they are computed from, are only read.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.invoicing.computations.models import Computation
from billing.invoicing.drafts import COMPARED
from billing.invoicing.engine import Delta, deltas
from billing.invoicing.lines import lines_of
from billing.invoicing.load import as_of_instant
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.states import NUMBERED, RECORDED
from billing.invoicing.taxes.finding import not_as_told
from billing.invoicing.voiding.queries import not_undone
from billing.metering.months.errors import MonthDetached
from billing.verification.facts import AsKnown
from billing.verification.models import Difference, Verification
from customers.knowledge import as_known_at, in_force
from customers.models import Contract

CHUNK: Final = 200
HELD: Final = [name for name in COMPARED if name != "late"]
"""What of a line must be equal; what came late is told of what is corrected, and decides nothing."""
Result = Literal["equal", "different", "untold"]


@dataclass(slots=True)
class Verified:
    """Whether an invoice is what its facts come to; `reasons` say in what it differs, or why that cannot be told."""

    invoice: Invoice
    result: Result = "equal"
    reasons: list[str] = field(default_factory=list)

    def say(self, result: Result, reason: str) -> None:
        """Note a reason; what is different stays so."""
        self.result = "different" if "different" in (self.result, result) else result
        self.reasons.append(reason)


def verify(*, invoice_ids: Iterable[int]) -> Iterator[Verified]:
    """Hold each approved or issued invoice against a computation of the same lines from what was known then.

    A draft is no record, and is left out. Chunks of 200; queries grow with the computations that made them.
    """
    ids = sorted(set(invoice_ids))
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic():
            found = _verify(ids[start : start + CHUNK])
            transaction.set_rollback(True)  # whatever the rules made on the way
        yield from found


def _verify(invoice_ids: Sequence[int]) -> list[Verified]:
    invoices = Invoice.objects.filter(pk__in=invoice_ids, state__in=RECORDED).in_bulk()
    verified = {key: Verified(invoice) for key, invoice in sorted(invoices.items())}
    lines: dict[int | None, list[InvoiceLine]] = defaultdict(list)
    stored = InvoiceLine.objects.filter(invoice__in=verified).select_related("stream").order_by("invoice", "position")
    reversals = {key for key, invoice in invoices.items() if invoice.reverses_id}
    for line in stored:
        if line.invoice_id not in reversals:
            lines[line.known].append(line)
    computations = Computation.objects.in_bulk([number for number in lines if number is not None])
    for number, group in lines.items():
        if number is None:
            for key in dict.fromkeys(line.invoice_id for line in group):
                verified[key].say("untold", "It was computed by a release that did not keep what it knew.")
        else:
            _compare(computations[number], group, verified)
    for key in sorted(reversals):  # they come from the invoice that they void, not from what was wanted
        for reason in not_undone(invoices[key]):
            verified[key].say("different", reason)
    for each in verified.values():
        _add_up(each, [line for line in stored if line.invoice_id == each.invoice.pk])
    return list(verified.values())


def _compare(computation: Computation, lines: Sequence[InvoiceLine], verified: dict[int, Verified]) -> None:
    """Compute once more what one computation made, and find each line in it."""
    of_contract: dict[int, list[InvoiceLine]] = defaultdict(list)
    for line in lines:
        of_contract[line.stream.contract_id].append(line)
    days = {key: max(verified[line.invoice_id].invoice.as_of for line in group) for key, group in of_contract.items()}
    with as_known_at(computation.number):
        contracts = in_force(Contract.objects.filter(pk__in=of_contract).order_by("customer_id", "pk"))
        instants = {each.pk: as_of_instant(days[each.pk], each) for each in contracts}
        try:
            found = deltas(contracts, instants, AsKnown(computation.known))
        except MonthDetached as error:
            for line in lines:
                verified[line.invoice_id].say("untold", str(error))
            return
        told = {line.pk: verified[line.invoice_id].invoice.customer_id for line in lines}
        for line in not_as_told(lines, contracts, told):
            verified[line.invoice_id].say("different", f"{line.description}: its taxes are not those that were known.")
    fresh = lines_of([delta for delta in found if delta.error is None], computation)
    for delta in found:
        group = of_contract[delta.contract.pk]
        _hold(delta, group, fresh.get(delta.contract.pk, []), verified)


def _hold(
    delta: Delta, stored: Sequence[InvoiceLine], fresh: Sequence[InvoiceLine], verified: dict[int, Verified]
) -> None:
    """Hold the lines of a contract against those that were computed once more."""
    if delta.error is not None:
        for key in dict.fromkeys(line.invoice_id for line in stored):
            verified[key].say("different", f"{delta.contract}: {delta.error}")
        return
    left = {_identity(line): line for line in fresh}
    found = [(line, left.get(_identity(line))) for line in stored if line.slot_id is not None]
    renamed = any(again is not None and again.unit != line.unit for line, again in found)
    for line in stored:
        again = left.pop(_identity(line), None)
        if again is None:
            reason = f"{line.description} of {line.amount}: nothing asks for it."
            verified[line.invoice_id].say("different", reason)
        elif names := _differing(line, again, renamed):
            reason = f"{line.description} of {line.amount} comes to {again.amount} ({', '.join(names)})."
            verified[line.invoice_id].say("different", reason)
    home = verified[stored[0].invoice_id]
    for line in left.values():
        if not _billed_elsewhere(line):
            home.say("different", f"{line.description} of {line.amount} is missing.")


def _differing(line: InvoiceLine, again: InvoiceLine, renamed: bool) -> list[str]:
    """In what a line differs. What a meter's unit is called is only shown: where it was `renamed` since, words may."""
    names = [name for name in HELD if getattr(again, name) != getattr(line, name)]
    if renamed and line.slot_id is not None:
        same = {"unit"} | ({"steps"} if _figures(line) == _figures(again) else set())
        names = [name for name in names if name not in same]
    return names


def _figures(line: InvoiceLine) -> list[dict[str, object]]:
    """The steps of a line but for what they are called."""
    return [{name: value for name, value in step.items() if name != "label"} for step in line.steps]


def _identity(line: InvoiceLine) -> tuple[object, ...]:
    """What a line is about: its slot, or the stretch of a fee that it charges or credits."""
    return line.stream_id, line.slot_id, line.kind, line.corrects_id, line.service_start, line.service_end


def _billed_elsewhere(line: InvoiceLine) -> bool:
    """Whether a line stands on another document: what goes on one of its own, or was approved again later."""
    same = InvoiceLine.objects.filter(
        stream=line.stream_id, slot=line.slot_id, kind=line.kind, service_start=line.service_start
    )
    return same.exists()


def _add_up(verified: Verified, lines: Sequence[InvoiceLine]) -> None:
    """An invoice is the sum of its lines, and its tax that of theirs."""
    total = sum(line.amount for line in lines)
    if verified.invoice.net != total:
        verified.say("different", f"Its lines come to {total}, not to {verified.invoice.net}.")
    tax = sum(line.tax for line in lines)
    if verified.invoice.tax != tax:
        verified.say("different", f"The tax of its lines comes to {tax}, not to {verified.invoice.tax}.")


def verify_all(*, now: datetime, user: AbstractBaseUser | None = None) -> Verification:
    """Verify every issued invoice, and keep what differs. Each chunk is kept when it is done."""
    run = Verification.objects.create(started_at=now, requested_by=user)  # type: ignore[misc]
    ids = list(Invoice.objects.filter(state__in=NUMBERED).order_by("id").values_list("id", flat=True))
    for start in range(0, len(ids), CHUNK):
        found = list(verify(invoice_ids=ids[start : start + CHUNK]))
        with transaction.atomic():
            differences = [each for each in found if each.result == "different"]
            Difference.objects.bulk_create([
                Difference(verification=run, invoice=each.invoice, reasons=each.reasons) for each in differences
            ])  # fmt: skip
            run.checked += len(found)
            run.different += len(differences)
            run.untold += sum(each.result == "untold" for each in found)
            run.save(update_fields=["checked", "different", "untold"])
    run.finished_at = now
    run.save(update_fields=["finished_at"])
    return run
