"""What differs on a draft and how unusual it is: pure comparison of two invoices, scored."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

SPIKE: Final = Decimal(3)
"""So many times the quantity of before is a spike, and one part in so many of it a drop."""
POINTS: Final[Mapping[str, int]] = {
    "alert": 30, "held": 40, "edited": 25, "spike": 40, "drop": 35, "first": 20, "missing": 35, "returned": 15,
    "credit": 20, "corrects": 10, "zero": 10, "changed": 0,
}  # fmt: skip
"""What a finding adds to the score of a draft, by code."""
HIGH: Final = 60
"""From so many points on a draft is of high risk."""
NOTABLE: Final = 20
"""From so many points on a draft should be looked at."""


@dataclass(frozen=True, slots=True)
class Item:
    """What an invoice asks for one charge of one subscription: amount, quantity where there is one, price version.

    `days` is the length of what it is for, in days begun; 0 where that says nothing.
    """

    key: tuple[int, str]
    name: str
    amount: Decimal
    quantity: Decimal | None = None
    unit: str = ""
    metered: bool = False
    version: int | None = None
    version_name: str = ""
    price: str = ""
    corrects: bool = False
    days: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the total differs, in words, and by how much."""

    text: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unusual; `code` says what kind, and so how many points."""

    code: str
    text: str

    @property
    def points(self) -> int:
        """What it adds to the score."""
        return POINTS[self.code]


def change_of(now: Decimal, before: Decimal | None) -> Decimal | None:
    """The change in percent with one place, of what was before; None without one, or where that was nothing."""
    if before is None or before <= 0:
        return None
    return ((now - before) * 100 / before).quantize(Decimal("0.1"))


def reasons(now: Iterable[Item], before: Iterable[Item]) -> list[Reason]:
    """Why two invoices differ, the largest difference first; an item that did not change gives none."""
    mine, theirs = _together(now), _together(before)
    found = []
    for key in {**mine, **theirs}:
        new, old = mine.get(key), theirs.get(key)
        amount = (new.amount if new else Decimal(0)) - (old.amount if old else Decimal(0))
        if amount:
            found.append(Reason(_why(new, old), amount))
    return sorted(found, key=lambda each: (-abs(each.amount), each.text))


def _together(items: Iterable[Item]) -> dict[tuple[int, str, bool], Item]:
    """Items of one key as one; corrections stay apart."""
    found: dict[tuple[int, str, bool], Item] = {}
    for item in items:
        key = (*item.key, item.corrects)
        known = found.get(key)
        found[key] = item if known is None else _sum(known, item)
    return found


def _sum(one: Item, other: Item) -> Item:
    """Usage adds up; of a fee in several stretches the last one's quantity and price count."""
    quantity = _of(one.quantity) + _of(other.quantity) if one.metered else other.quantity
    return Item(
        one.key, one.name, one.amount + other.amount, quantity, other.unit or one.unit, one.metered, other.version,
        other.version_name, other.price, one.corrects, one.days + other.days,
    )  # fmt: skip


def _of(quantity: Decimal | None) -> Decimal:
    return quantity or Decimal(0)


def _why(new: Item | None, old: Item | None) -> str:
    """The sentence about an item that is there now, was there before, or both."""
    if new is None:
        assert old is not None  # one of the two is there
        return f"No {old.name} any more" if not old.corrects else f"The correction of {old.name} was once only"
    if new.corrects:
        return f"Correction of {new.name}"
    if old is None:
        return f"{new.name} is new"
    if new.version != old.version and new.version_name:
        return f"New plan or version for {new.name}: {new.version_name}"
    if new.quantity is not None and old.quantity is not None and new.quantity != old.quantity:
        more = "More" if new.quantity > old.quantity else "Less"
        what = f"{more} usage of {new.name}" if new.metered else f"{'More' if more == 'More' else 'Fewer'} {new.name}"
        return f"{what}: {_plain(new.quantity)} instead of {_plain(old.quantity)}"
    if new.price != old.price:
        return f"Price of {new.name} changed"
    if new.days != old.days:
        return f"{new.name} for {new.days} day{'s' * (new.days != 1)} instead of {old.days}"
    return f"{new.name} comes to a different amount"


def _plain(quantity: Decimal) -> str:
    text = f"{quantity:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def jumps(now: Iterable[Item], before: Iterable[Item]) -> list[Finding]:
    """Usage that is a multiple, a fraction or nothing of what it was."""
    mine, theirs = _together(now), _together(before)
    found = []
    for key, old in theirs.items():
        if not old.metered or old.corrects or not old.quantity or old.quantity < 0:
            continue
        new = mine.get(key)
        quantity = _of(new.quantity) if new else Decimal(0)
        if quantity <= 0:
            found.append(Finding("missing", f"No usage of {old.name}, before {_plain(old.quantity)}"))
        elif quantity >= old.quantity * SPIKE:
            found.append(Finding("spike", f"{_times(quantity / old.quantity)} times the usage of {old.name}"))
        elif quantity * SPIKE <= old.quantity:
            share = (quantity * 100 / old.quantity).quantize(Decimal(1))
            found.append(Finding("drop", f"{share} % of the usage of {old.name} before"))
    return found


def silent_days(first: date, last: date, active: Collection[date]) -> Finding | None:
    """Days (UTC) from `first` to `last` without an event, of somebody who had some on every day of the time before.

    That time is as long. Where most days are missing, usage stopped or fell: others find that.
    """
    length = (last - first).days + 1
    if any(first - timedelta(number) not in active for number in range(length, 0, -1)):
        return None
    missing = [day for number in range(length) if (day := first + timedelta(number)) not in active]
    if not missing or 2 * len(missing) > length:
        return None
    shown = ", ".join(day.isoformat() for day in missing[:3])
    more = f" and on {len(missing) - 3} other days" if len(missing) > 3 else ""
    return Finding("missing", f"No events on {shown}{more}")


def _times(factor: Decimal) -> str:
    return _plain(factor.quantize(Decimal("0.1")))


def score(findings: Collection[Finding], change: Decimal | None) -> int:
    """How much a draft wants a look: the points of what is unusual, and up to 40 for its change, 1 for each 5 %."""
    moved = min(40, int(abs(change) / 5)) if change is not None else 0
    return sum(each.points for each in findings) + moved


def level_of(points: int) -> str:
    """“high”, “notable” or “ordinary”."""
    return "high" if points >= HIGH else "notable" if points >= NOTABLE else "ordinary"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a policy approves: totals from 0 to `amount`, changed by at most `change` percent; None for any change.

    `unusual` is whether it also approves what has findings.
    """

    amount: Decimal
    currency: str
    change: Decimal | None = None
    unusual: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a policy approves a draft, and the sentence that is kept with it."""

    approves: bool
    why: str


def judge(limits: Limits, total: Decimal, currency: str, change: Decimal | None, findings: Sequence[str]) -> Judged:
    """Whether what a draft comes to is ordinary for a policy, and why or why not."""
    if currency != limits.currency:
        return Judged(False, f"it is in {currency}, and the policy speaks of {limits.currency}")
    if total < 0:
        return Judged(False, "it is a credit note")
    if total > limits.amount:
        return Judged(False, f"{currency} {total:,} is more than {currency} {limits.amount:,}")
    if limits.change is not None and change is None:
        return Judged(False, "there is nothing before to compare it with")
    if limits.change is not None and change is not None and abs(change) > limits.change:
        return Judged(False, f"it changed by {change} %, more than {_plain(limits.change)} %")
    if findings and not limits.unusual:
        return Judged(False, f"it is unusual: {findings[0]}")
    told = [f"{currency} {total:,} is at most {currency} {limits.amount:,}"]
    if limits.change is not None:
        told.append(f"it changed by {change} %, at most {_plain(limits.change)} %")
    told.append("nothing is unusual" if not findings else "unusual is allowed")
    return Judged(True, "; ".join(told))
