"""What a run's outcomes come to, as JSON that is kept with the run, and the words in which its page says it."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db.models import QuerySet

from billing.lab.models import TrialOutcome, TrialRun
from billing.lab.statistics import Compared, Tally, change_in_percent, rounded
from billing.money import plain

ROWS = 2_000
"""Outcomes read at once."""


def compared(outcomes: QuerySet[TrialOutcome]) -> Iterator[Compared]:
    """The outcomes that can be compared, one by one, each under its own id."""
    rows = outcomes.filter(problem="").values_list("id", "currency", "today", "amounts", "parts")
    for pk, currency, today, amounts, parts in rows.iterator(ROWS):
        by_part = {(kind, code): tuple(map(Decimal, sums)) for kind, code, *sums in parts}
        yield Compared(pk, currency, today, tuple(amounts), by_part)


def result_of(run: TrialRun, candidates: int, names: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the page of a run prints at once."""
    tallies = [Tally(place) for place in range(candidates)]
    count = 0
    for row in compared(run.outcomes.all()):
        count += 1
        for tally in tallies:
            tally.add(row)
    return {
        "names": dict(names),
        "compared": count,
        "problems": run.outcomes.exclude(problem="").count(),
        "candidates": [_tally_json(tally) for tally in tallies],
    }


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {
        "totals": [_total_json(tally, currency) for currency in sorted(tally.totals)],
        "bars": [[bar.label, bar.customers] for bar in tally.distribution()],
        "parts": [
            [currency, kind, code, plain(today), plain(amount)]
            for (currency, (kind, code)), (today, amount) in sorted(tally.parts.items())
        ],
        "more": [key for key, _, _ in tally.pay_more()],
        "less": [key for key, _, _ in tally.pay_less()],
    }


def _total_json(tally: Tally, currency: str) -> dict[str, Any]:
    total, even = tally.totals[currency], tally.break_even(currency)
    return {
        "currency": currency, "today": plain(total.today), "amount": plain(total.amount),
        "difference": plain(total.difference), "percent": percent_text(total.today, total.amount),
        "more": total.more, "less": total.less, "same": total.same, "up": plain(total.up), "down": plain(total.down),
        "all_prices": _fraction_json(even.all_prices), "usage_prices": _fraction_json(even.usage_prices),
    }  # fmt: skip


def percent_text(today: Decimal, amount: Decimal) -> str:
    """A change for people: “+4.2 %”, “−12.0 %”, “0 %”; “new” where today is nothing."""
    change = rounded(change_in_percent(today, amount), 1)
    if change is None:
        return "new"
    if today == amount:
        return "0 %"
    return f"{'−' if change < 0 else '+'}{abs(change):,.1f} %"


def _fraction_json(number: Fraction | None) -> str | None:
    found = rounded(number, 6)
    return None if found is None else plain(found)
