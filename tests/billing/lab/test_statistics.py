"""What a price trial comes to, from rows of numbers."""

from decimal import Decimal
from fractions import Fraction
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.lab.statistics import LABELS, MOST, BreakEven, Compared, Tally, change_in_percent, rounded, spread

AMOUNT = st.decimals(min_value=0, max_value=10**6, places=2)


@st.composite
def books(draw: st.DrawFn) -> list[Compared]:
    """Customers in two currencies, whose parts add up."""
    rows = []
    for key in range(draw(st.integers(0, 80))):
        fee, usage = (tuple(draw(st.lists(AMOUNT, min_size=3, max_size=3))) for _ in range(2))
        today, *amounts = (a + b for a, b in zip(fee, usage, strict=True))
        parts = {("recurring", "fee"): fee, ("usage", "tokens"): usage}
        rows.append(Compared(key, draw(st.sampled_from(["USD", "EUR"])), today, tuple(amounts), parts))
    return rows


def tally(rows: list[Compared], place: int = 0) -> Tally:
    """The rows, counted."""
    found = Tally(place)
    for row in rows:
        found.add(row)
    return found


def row(key: int, today: str, amount: str) -> Compared:
    """A customer who pays for usage alone."""
    one, other = Decimal(today), Decimal(amount)
    return Compared(key, "USD", one, (other,), {("usage", "tokens"): (one, other)})


def bars(*changes: tuple[str, str]) -> dict[str, int]:
    """The bars that are not empty."""
    found = tally([row(key, *each) for key, each in enumerate(changes)])
    return {bar.label: bar.customers for bar in found.distribution() if bar.customers}


def test_it_works() -> None:
    found = tally([row(1, "100", "110"), row(2, "100", "70"), row(3, "50", "50")])
    total = found.totals["USD"]
    assert (total.today, total.amount, total.difference) == (250, 230, -20)
    assert (total.more, total.less, total.same, total.up, total.down) == (1, 1, 1, 10, 30)
    assert found.pay_more() == [(1, "USD", Decimal(10))]
    assert found.pay_less() == [(2, "USD", Decimal(-30))]
    assert found.break_even("USD") == BreakEven(Fraction(25, 23), Fraction(25, 23))


@given(books(), st.integers(0, 1))
def test_sums_over_customers_are_the_totals(rows: list[Compared], place: int) -> None:
    found = tally(rows, place)
    for currency, total in found.totals.items():
        mine = [each for each in rows if each.currency == currency]
        assert total.today == sum(each.today for each in mine)
        assert total.amount == sum(each.amounts[place] for each in mine)
        assert total.up - total.down == total.difference
        parts = [sums for (code, _), sums in found.parts.items() if code == currency]
        assert [sum(column) for column in zip(*parts, strict=True)] == [total.today, total.amount]


@given(books())
def test_those_who_pay_more_less_and_the_same_are_all(rows: list[Compared]) -> None:
    found = tally(rows)
    assert sum(total.customers for total in found.totals.values()) == len(rows)
    assert sum(bar.customers for bar in found.distribution()) == len(rows)
    falls = sum(bar.customers for bar in found.distribution()[:5])
    assert falls == sum(total.less for total in found.totals.values())


@given(books())
def test_a_total_at_its_break_even_is_todays(rows: list[Compared]) -> None:
    found = tally(rows)
    for currency, total in found.totals.items():
        even = found.break_even(currency)
        if even.all_prices is not None:
            assert even.all_prices * Fraction(total.amount) == Fraction(total.today)
        if even.usage_prices is not None:
            usage = Fraction(found.parts[currency, ("usage", "tokens")][1])
            assert even.usage_prices * usage + Fraction(total.amount) - usage == Fraction(total.today)


def test_a_change_falls_into_the_bar_of_its_side() -> None:
    assert bars(("100", "49.99")) == {"below −50": 1}
    assert bars(("100", "50"), ("100", "74.99")) == {"−50 to −25": 2}
    assert bars(("100", "75")) == {"−25 to −10": 1}
    assert bars(("100", "99.99"), ("100", "95")) == {"−5 to 0": 2}
    assert bars(("100", "100"), ("0", "0")) == {"no change": 2}
    assert bars(("100", "100.01"), ("100", "105")) == {"0 to +5": 2}
    assert bars(("100", "105.01")) == {"+5 to +10": 1}
    assert bars(("100", "200"), ("100", "200.01")) == {"+50 to +100": 1, "above +100": 1}
    assert bars(("0", "5")) == {"from nothing": 1}
    assert len(LABELS) == len(set(LABELS)) == 13


def test_the_lists_keep_the_largest_changes_in_order() -> None:
    found = tally([row(key, "100", str(100 + key)) for key in range(1, 2 * MOST)])
    listed = found.pay_more()
    assert len(listed) == MOST
    assert listed[0] == (2 * MOST - 1, "USD", Decimal(2 * MOST - 1))
    assert [len(list(group)) for _, group in groupby(sorted(listed, key=lambda each: -each[2]))] == [1] * MOST


def test_there_is_no_break_even_where_fees_alone_are_more_than_today() -> None:
    parts = {("recurring", "fee"): (Decimal(10), Decimal(80)), ("usage", "tokens"): (Decimal(40), Decimal(20))}
    found = tally([Compared(1, "USD", Decimal(50), (Decimal(100),), parts)])
    assert found.break_even("USD") == BreakEven(Fraction(1, 2), None)
    assert tally([row(1, "50", "0")]).break_even("USD") == BreakEven(None, None)


@pytest.mark.parametrize(
    ("today", "amount", "percent"), [("100", "150", "50"), ("0", "0", "0"), ("3", "4", "33.33"), ("0", "1", None)]
)
def test_a_change_in_percent_of_today(today: str, amount: str, percent: str | None) -> None:
    found = rounded(change_in_percent(Decimal(today), Decimal(amount)), 2)
    assert found == (None if percent is None else Decimal(percent))


def test_a_spread_shows_amounts_that_occur() -> None:
    assert spread([]) is None
    assert spread([Decimal(9), Decimal(1), Decimal(4), Decimal(2)]) == (1, 2, 9)
