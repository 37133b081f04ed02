"""Changes are folded in order of effect: when each was recorded does not matter. Pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.changes.fold import Bound, Change, fold, in_force, read_row_options
from billing.catalog.changes.options import Options, read_options, together

START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


BEGIN = Change(0, START, version=1, quantity=Decimal(1), runs=True)


def told(bound: list[Bound]) -> list[tuple[int, int | None, int, int]]:
    return [
        ((each.start - START).days, (each.end - START).days if each.end else None, each.version, int(each.quantity))
        for each in bound
    ]  # fmt: skip


def test_it_works() -> None:
    facts = [
        BEGIN,
        Change(1, day(20), version=2),
        Change(2, day(10), quantity=Decimal(5)),
        Change(3, day(30), runs=False),
    ]
    assert told(fold(facts)) == [(0, 10, 1, 1), (10, 20, 1, 5), (20, 30, 2, 5)]


def test_a_change_recorded_later_for_an_earlier_day_leaves_the_later_day_alone() -> None:
    facts = [BEGIN, Change(1, day(20), version=3), Change(2, day(10), version=2)]
    assert told(fold(facts)) == [(0, 10, 1, 1), (10, 20, 2, 1), (20, None, 3, 1)]


def test_of_two_changes_of_the_same_thing_at_one_instant_the_one_recorded_later_holds() -> None:
    facts = [BEGIN, Change(1, day(10), version=2, quantity=Decimal(2)), Change(2, day(10), version=3)]
    assert told(fold(facts))[-1] == (10, None, 3, 2)
    assert told(fold(facts[:2]))[-1] == (10, None, 2, 2)


def test_an_end_holds_until_it_is_undone() -> None:
    facts = [BEGIN, Change(1, day(10), runs=False), Change(2, day(20), quantity=Decimal(9))]
    assert told(fold(facts)) == [(0, 10, 1, 1)]
    assert told(fold([facts[0], facts[2]])) == [(0, 20, 1, 1), (20, None, 1, 9)]
    assert in_force(fold(facts), day(10)) is None


def test_an_end_at_the_start_leaves_nothing() -> None:
    assert fold([BEGIN, Change(1, START, runs=False)]) == []


def test_options_are_kept_with_what_they_concern() -> None:
    end = Change(2, day(20), runs=False, options=Options(unused="none"))
    move = Change(1, day(10), quantity=Decimal(2), options=Options(anchor="change", fees="full"))
    first, second = fold([BEGIN, move, end])
    assert (first.options_json(), second.begun.fees, second.ended.unused) == ({}, "full", "none")
    assert read_row_options(second.options_json()) == (second.begun, second.ended, second.anchor)
    assert second.anchor is not None
    assert second.anchor.at == day(10)


def test_what_is_no_option_is_named() -> None:
    with pytest.raises(ValueError, match="no option “speed”: there are unused, fees"):
        read_options({"speed": "fast"})
    with pytest.raises(ValueError, match="unused cannot be “burn”: choose one of “credit”, “none”"):
        read_options({"unused": "burn"})


OPTIONS = st.builds(
    Options, unused=st.sampled_from(["credit", "none"]), fees=st.sampled_from(["prorated", "full", "next_period"]),
    anchor=st.sampled_from(["", "kept", "change", "calendar"]), tiers=st.sampled_from(["", "restart", "continue"]),
)  # fmt: skip
CHANGE = st.builds(
    lambda at, field, value, options: Change(
        0, day(at), options=options,
        **{field: {"version": value, "quantity": Decimal(value), "runs": False}[field]},  # type: ignore[arg-type]
    ),
    st.integers(0, 6), st.sampled_from(["version", "quantity", "runs"]), st.integers(2, 4), OPTIONS,
)  # fmt: skip


@given(st.lists(CHANGE, max_size=8), st.randoms(use_true_random=False))
def test_every_order_of_recording_ends_in_the_same_terms(changes: list[Change], random: object) -> None:
    """Changes of different things on the same day combine; one a day of each thing."""
    seen, mine = set(), []
    for change in changes:
        what = (change.at, change.version is None, change.runs is None)
        if what not in seen:
            seen.add(what)
            mine.append(change)
    shuffled = list(mine)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ends = [
        fold([BEGIN, *(replace(change, number=place) for place, change in enumerate(order, 1))])
        for order in (mine, shuffled)
    ]  # fmt: skip
    assert ends[0] == ends[1]
    assert all(one.end == other.start for one, other in zip(ends[0], ends[0][1:], strict=False))


@given(st.lists(OPTIONS, max_size=4))
def test_options_of_one_instant_combine_alike_in_any_order(options: list[Options]) -> None:
    assert together(options) == together(reversed(options))
