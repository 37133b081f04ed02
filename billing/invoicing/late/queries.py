"""Which policies hold, and what open drafts wait for: constant queries, however many contracts and invoices."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from django.db.models import Case, Max, Q, When

from billing.invoicing.drafts import concedes
from billing.invoicing.late.models import InvoicingPolicy
from billing.invoicing.late.policy import HOUSE, Policy, in_force
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.states import InvoiceState
from billing.periods import local_midnight, zone
from customers.backoffice import amount_text
from customers.models import Contract

Said = list[tuple[date, Policy]]


@dataclass(frozen=True, slots=True)
class Policies:
    """What sellers and contracts have said, in the order in which it was said."""

    of_entity: Mapping[int, Said]
    of_contract: Mapping[int, Said]

    def of(self, entity_id: int, contract_id: int | None, currency: str, day: date) -> Policy:
        """What holds on a day for invoices in a currency: the contract's, before its seller's, before the house's."""
        own = in_force(_in(self.of_contract.get(contract_id or 0, ()), currency), day)
        return own.over(in_force(_in(self.of_entity.get(entity_id, ()), currency), day)).over(HOUSE)

    @property
    def silent(self) -> bool:
        """Whether nobody has said anything."""
        return not self.of_entity and not self.of_contract


def _in(said: Iterable[tuple[date, Policy]], currency: str) -> Said:
    """Without what is said of other currencies."""
    return [
        (since, replace(each, threshold=None) if each.threshold and each.threshold[1] != currency else each)
        for since, each in said
    ]


def policies(*, entity_ids: Collection[int], contract_ids: Collection[int]) -> Policies:
    """What these sellers and contracts have said; one query."""
    of_entity: dict[int, Said] = defaultdict(list)
    of_contract: dict[int, Said] = defaultdict(list)
    mine = Q(entity__in=entity_ids) | Q(contract__among=contract_ids)
    for each in InvoicingPolicy.objects.filter(mine).order_by("id"):
        group = of_entity[each.entity_id] if each.entity_id else of_contract[each.contract_id or 0]
        group.append((each.since, each.said()))
    return Policies(of_entity, of_contract)


def apart(contracts: Sequence[Contract], as_of: Mapping[int, date]) -> Callable[[Contract, InvoiceLine], bool]:
    """Which lines go on documents of corrections, beside the regular ones, as of the contracts' days; one query.

    Usage that is brought up to date, of contracts that have it so; credits of fees stay beside what takes their place.
    """
    found = policies(entity_ids={each.entity_id for each in contracts}, contract_ids=[each.pk for each in contracts])
    alone = {
        each.pk
        for each in contracts
        if not found.silent and found.of(each.entity_id, each.pk, each.currency, as_of[each.pk]).late == "apart"
    }
    return lambda contract, line: (contract.pk in alone and adjusts(line)) or concedes(line)


def adjusts(line: InvoiceLine) -> bool:
    """Whether a line brings what a cycle came to up to date."""
    return line.corrects_id is not None and line.kind not in (InvoiceLine.Kind.RECURRING, InvoiceLine.Kind.ONE_OFF)


@dataclass(frozen=True, slots=True)
class Waits:
    """Why a draft waits, as the end of a sentence about it, and until when where that is known."""

    why: str
    short: str
    until: datetime | None = None


def waiting(invoices: Iterable[Invoice], now: datetime) -> dict[int, Waits]:
    """What open drafts wait for at a moment, by invoice id: usage, or a next invoice. Three queries at most."""
    drafts = [each for each in invoices if each.state == InvoiceState.DRAFT]
    if not drafts:
        return {}
    on = defaultdict(set)
    for invoice, contract in (
        InvoiceLine.objects.filter(invoice__in=drafts).order_by().values_list("invoice", "stream__contract").distinct()
    ):
        on[invoice].add(contract)
    found = policies(
        entity_ids={each.entity_id for each in drafts}, contract_ids={key for keys in on.values() for key in keys}
    )
    if found.silent:
        return {}
    contracts = Contract.objects.in_bulk({key for keys in on.values() for key in keys})
    ends = _ends(drafts)
    answers = {}
    for each in drafts:
        mine = [contracts[key] for key in on[each.pk]]
        answer = _open(each, mine, ends, found, now) or _carried(each, mine, found)
        if answer:
            answers[each.pk] = answer
    return answers


def _ends(drafts: Sequence[Invoice]) -> dict[tuple[int, int], datetime]:
    """When the latest cycle of usage on a draft ended, by draft and contract; one query."""
    end = Case(When(slot__dimensions__has_key="spend", then="service_end"), default="slot__cycle_end")
    lines = InvoiceLine.objects.filter(invoice__in=drafts, slot__cycle_end__isnull=False, corrects=None)
    rows = lines.order_by().values_list("invoice", "stream__contract").annotate(end=Max(end))
    return {(invoice, contract): end for invoice, contract, end in rows}


def _open(
    invoice: Invoice, contracts: Sequence[Contract], ends: Mapping[tuple[int, int], datetime], found: Policies,
    now: datetime,
) -> Waits | None:  # fmt: skip
    """Until when usage of its cycles is waited for."""
    latest = None
    for each in contracts:
        grace = found.of(invoice.entity_id, each.pk, invoice.currency, invoice.as_of).grace
        end = ends.get((invoice.pk, each.pk))
        if not grace or not grace.amount or end is None:
            continue
        if each.end is not None:  # a cycle that the contract's end cuts short ends there
            end = min(end, local_midnight(each.end, each.timezone))
        until = grace.after(end, each.timezone)
        if until > now and (latest is None or until > latest[0]):
            latest = until, grace, each.timezone
    if latest is None:
        return None
    text = f"{latest[0].astimezone(zone(latest[2])):%Y-%m-%d %H:%M}"
    why = f"stays open for late usage until {text} ({latest[2]}), {latest[1]} after its cycle ended"
    return Waits(why, f"Open until {text}", latest[0])


def _carried(invoice: Invoice, contracts: Sequence[Contract], found: Policies) -> Waits | None:
    """Whether it waits for the next invoice: while there will be one."""
    if invoice.total < 0 or all(each.end is not None and each.end <= invoice.as_of for each in contracts):
        return None
    policy = found.of(invoice.entity_id, invoice.contract_id, invoice.currency, invoice.as_of)
    if invoice.total == 0 and policy.zero == "carry":
        return Waits("comes to nothing, and is carried to the next invoice", "Carried")
    if policy.threshold and policy.below(invoice.total, invoice.currency):
        amounts = amount_text(invoice.total, invoice.currency), amount_text(*policy.threshold)
        why = f"comes to {amounts[0]}, below the smallest invoice of {amounts[1]}, and is carried to the next one"
        return Waits(why, "Carried")
    return None


def is_not_sent(invoice: Invoice) -> bool:
    """Whether an invoice on which every line is zero is recorded without being sent (R5.10). Two queries at most."""
    if invoice.total or invoice.lines.exclude(amount=0).exists():
        return False
    found = policies(entity_ids=[invoice.entity_id], contract_ids=[invoice.contract_id] if invoice.contract_id else [])
    return found.of(invoice.entity_id, invoice.contract_id, invoice.currency, invoice.as_of).zero == "skip"
