"""Prices that hold the tax: what a contract wants is computed with it, and taken apart before lines are drawn up.

Revenue and corrections go by what is left without tax. Where something was billed of a slot already, its rates are
those of that line (R5.3), so that a new rate changes nothing that was billed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeVar

from billing.invoicing.fees import FeeLine
from billing.invoicing.rated import Rated, SlotKey
from billing.invoicing.slots import Standing
from billing.invoicing.taxes.errors import TaxError
from billing.invoicing.taxes.finding import Finder, Sold, finder_of, from_rows, taxes_of_lines
from billing.invoicing.taxes.rules import Tax, included_in
from billing.periods import Period, local_date
from billing.pricing.ratings import made_of
from customers.models import Contract
from customers.queries import Payers, payers_of

OneOf = TypeVar("OneOf", Rated, FeeLine)
Item = tuple[int | None, Sold]
"""The recorded line whose rates it keeps, if there is one; and what is sold."""


@dataclass(slots=True)
class Priced:
    """What a contract wants, before what stands is taken off: slots, what comes off them, and lines of fees."""

    contract: Contract
    standing: dict[SlotKey, Standing]
    slots: list[Rated]
    off: list[Rated] = field(default_factory=list)
    fees: list[FeeLine] = field(default_factory=list)


def take_tax_out(wants: Sequence[Priced]) -> dict[int, TaxError]:
    """Take the tax out of what contracts with such prices want; by contract id, why it cannot be told.

    No query where there is no such contract.
    """
    wanted = [each for each in wants if each.contract.prices == Contract.Prices.INCLUSIVE]
    if not wanted:
        return {}
    payers = payers_of([each.contract for each in wanted])
    finder = finder_of([each.contract for each in wanted], {one for each in payers.values() for one in each.everyone})
    if finder is None:
        return {}
    items = {each.contract.pk: _items(each, payers[each.contract.pk]) for each in wanted}
    rates = _rates([item for found in items.values() for item in found.values()], finder)
    errors = {}
    for each in wanted:
        mine = {key: rates[item] for key, item in items[each.contract.pk].items()}
        error = next((rate for rate in mine.values() if isinstance(rate, TaxError)), None)
        if error is not None:
            errors[each.contract.pk] = error
        else:
            _apply(each, mine)
    return errors


def _items(priced: Priced, payers: Payers) -> dict[int, Item]:
    """Everything that is priced with tax, by its id in memory; credits of fees are shares of lines without."""
    contract = priced.contract
    found: dict[int, Item] = {}
    for slot in (*priced.slots, *priced.off):
        stands = priced.standing.get(slot.key)
        charge = slot.charge.charge_id if slot.charge else None
        found[id(slot)] = (stands.line_id if stands else None, _sold(contract, payers, slot.service, charge))
    for fee in priced.fees:
        if fee.corrects is None:
            found[id(fee)] = (None, _sold(contract, payers, fee.service, fee.charge_id))
    return found


def _sold(contract: Contract, payers: Payers, service: Period, charge_id: int | None) -> Sold:
    payer = payers.on(local_date(service.start, contract.timezone))
    return contract.pk, payer, service.start, service.until, charge_id


def _rates(items: Collection[Item], finder: Finder) -> dict[Item, Sequence[Tax] | TaxError]:
    """The taxes of each: of the line that stands, else of the facts."""
    kept = taxes_of_lines({line for line, _ in items if line})
    told = finder.taxes([sold for line, sold in items if line is None])
    return {(line, sold): from_rows(kept[line]) if line else told[sold] for line, sold in items}


def _apply(priced: Priced, rates: dict[int, Any]) -> None:
    currency = priced.contract.currency
    for slots in (priced.slots, priced.off):
        slots[:] = [_without(each, rates[id(each)], currency) for each in slots]
    priced.fees[:] = [
        _without(each, rates[id(each)], currency) if each.corrects is None else each for each in priced.fees
    ]


def _without(item: OneOf, taxes: Sequence[Tax], currency: str) -> OneOf:
    """The same without its tax, and a step that says how much it was."""
    if not taxes:
        return item
    tax = included_in(item.amount, taxes, currency)
    steps = item.steps + ([made_of("Tax in the price", -Fraction(tax)).to_json()] if tax else [])
    return replace(item, amount=item.amount - tax, steps=steps, tax_included=tax)
