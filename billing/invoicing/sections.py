"""The lines of a document by customer and contract, with what each adds up to. Pure: no Django, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Generic, TypeVar

from billing.invoicing.languages.labels import ENGLISH

LineT = TypeVar("LineT")


@dataclass(frozen=True, slots=True)
class Heading:
    """Whose lines they are: the customer's name, the contract's number and its purchase order, which may be empty."""

    contract_id: int
    customer: str
    contract: str
    po_number: str = ""


@dataclass(frozen=True, slots=True)
class Section(Generic[LineT]):
    """The lines of one contract. `title` is empty where it is the only one; `sums` are label and amount below it."""

    title: str
    lines: Sequence[LineT]
    sums: tuple[tuple[str, Decimal], ...] = ()


def sections(
    lines: Iterable[tuple[Heading, Decimal, LineT]], labels: Mapping[str, str] = ENGLISH
) -> list[Section[LineT]]:
    """Lines with their amounts, in their order, cut where customer or contract changes.

    With sums where there is more than one contract; a customer with several has one of its own below the last of them,
    where there are other customers too.
    """
    parts = []
    for heading, group in groupby(lines, lambda each: each[0]):
        found = list(group)
        parts.append((heading, [line for *_, line in found], sum((amount for _, amount, _ in found), Decimal(0))))
    if len(parts) < 2:
        return [Section("", rows) for _, rows, _ in parts]
    several = len({heading.customer for heading, *_ in parts}) > 1
    result: list[Section[LineT]] = []
    for customer, mine in groupby(parts, lambda part: part[0].customer):
        contracts = list(mine)
        whole = customer, sum((total for *_, total in contracts), Decimal(0))
        for place, (heading, rows, total) in enumerate(contracts, 1):
            sums: tuple[tuple[str, Decimal], ...] = ((_called(heading, labels), total),)
            if several and len(contracts) == 1:
                sums = (whole,)
            elif several and place == len(contracts):
                sums += (whole,)
            result.append(Section(_title(heading, several, labels), rows, sums))
    return result


def _title(heading: Heading, several: bool, labels: Mapping[str, str]) -> str:
    """“North Ltd · Contract C-7 · PO 4711”."""
    customer = heading.customer if several else ""
    order = labels["po_section"].format(number=heading.po_number) if heading.po_number else ""
    return " · ".join(filter(None, [customer, _called(heading, labels), order]))


def _called(heading: Heading, labels: Mapping[str, str]) -> str:
    """“Contract C-7”."""
    return labels["contract_section"].format(number=heading.contract)
