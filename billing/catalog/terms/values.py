"""Terms in force as plain values: charges with their prices, spending terms, and where each comes from.

Pure: no Django, no clock.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from billing.catalog.changes.fold import Anchor
from billing.catalog.changes.options import DEFAULT, Options
from billing.cycles import BillingCalendar
from billing.periods import Period
from billing.pricing import Price

NOT_ADDITIVE = frozenset({"max", "min", "unique_count", "latest", "average"})
"""Aggregations whose parts must never be added (R2.3)."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a term in force comes from, as its page says it: a plan version, a customer's own term, a ramp step.

    `term_id` is the customer's own term, None for what the plan version says.
    """

    kind: Literal["version", "term", "ramp", "conversion"]
    label: str
    term_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChargeTerms:
    """A charge in force with its price in the contract's currency; `meter_id` for usage alone.

    `cadence` (ISO 8601) and `proration` are the contract's where empty, `quantity` is the interval's where None.
    `narrowed_by` is canonical JSON of filters (as a meter's) that hold besides the meter's own; with `window` each
    hour or day is priced alone, and their amounts are added (R3). `calendar` has its cycles where a change moved them,
    and is the contract's where None. `plan` is the code of its plan, "" for one that was added for the customer. Two
    that bill alike are equal.
    """

    charge_id: int
    code_id: int
    name: str
    position: int
    in_advance: bool
    price: Price
    meter_id: int | None = None
    unit: str = "unit"
    additive: bool = True
    code: str = ""
    cadence: str = ""
    proration: str = ""
    quantity: Decimal | None = None
    narrowed_by: str = ""
    window: Literal["", "hour", "day"] = ""
    group: str = ""
    tax_code: str = ""
    calendar: BillingCalendar | None = None
    plan: str = field(default="", compare=False)
    sources: tuple[Source, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Interval:
    """What a subscription binds over `period`: charges, and how many of each recurring fee.

    `begun` says how the change took effect that began it, `ended` how that did which ended it with nothing after it.
    `anchor` tells where its cycles were moved to.
    """

    subscription_id: int
    period: Period
    quantity: Decimal
    charges: tuple[ChargeTerms, ...]
    begun: Options = DEFAULT
    ended: Options = DEFAULT
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class FreeTime:
    """A trial or a pause of a subscription (R4.6): no fee is wanted with `fees`, usage costs nothing with `usage`."""

    subscription_id: int
    period: Period
    kind: Literal["trial", "pause"]
    fees: bool = True
    usage: bool = False


@dataclass(frozen=True, slots=True)
class SpendTerms:
    """A minimum, a maximum or a commitment on what a subscription or a contract bills, a cycle or over all of `period`.

    `codes` are the charges that count; () means all recurring and usage charges. `amount` is in the contract's
    currency; spending beyond a commitment is multiplied by `overage_factor`, or, of the charges in `overage_prices`,
    priced anew. `agreed_end` is the end that was agreed first, where the term was ended earlier: it is cut short, and
    not over. What is agreed for a contract as a whole has `whole_of(contract)` as its subscription, and counts the
    subscriptions `of`, None for all of them.
    """

    subscription_id: int
    kind: Literal["minimum", "maximum", "commitment"]
    name: str
    amount: Decimal
    per: Literal["cycle", "term"]
    period: Period
    codes: tuple[str, ...] = ()
    overage_factor: Decimal = Decimal(1)
    source: Source | None = None
    agreed_end: datetime | None = None
    of: tuple[int, ...] | None = None
    overage_prices: tuple[tuple[str, Price], ...] = ()


@dataclass(frozen=True, slots=True)
class DiscountTerms:
    """A coupon, or a discount of a contract: what it takes off the charges of the contract's cycles (R5.7).

    A percentage, or an amount in the contract's currency a cycle. It begins with the cycle that `period` begins in, and
    reaches cycles that start before `period` ends: the first `cycles` of them, all where None. `charges` or `plans`
    narrow it to these codes. What a cycle leaves of a `kept` amount goes on to the next. `rank` puts it before those
    without one; `key` is its identity among its kind.
    """

    kind: Literal["coupon", "discount"]
    key: int
    name: str
    period: Period
    percentage: Decimal | None = None
    amount: Decimal | None = None
    cycles: int | None = None
    charges: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    rank: int | None = None
    kept: bool = True


def whole_of(contract_id: int) -> int:
    """In place of a subscription's id: the contract as a whole."""
    return -contract_id
