"""Measuring: the eight aggregations, what recurs, what is prorated, cells, and the fate of each event."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.definitions import MeterDefinition, parse_meter
from billing.metering.measuring import MeasuredEvent, Measurement, measure
from billing.periods import Period

START = datetime(2026, 1, 1, tzinfo=UTC)
JANUARY = Period(START, datetime(2026, 2, 1, tzinfo=UTC))


def meter(aggregation: str, **keys: Any) -> MeterDefinition:
    if aggregation != "count":
        keys.setdefault("value", "n")
    return parse_meter({"aggregation": aggregation, **keys})


def happened(day: float | str, n: Any = 1, **data: Any) -> MeasuredEvent:
    """An event so many days after the start of January, or at that instant."""
    time = datetime.fromisoformat(day) if isinstance(day, str) else START + timedelta(days=day)
    return MeasuredEvent(f"{day} {n} {data}", time, {"n": n, **data})


def measured(
    definition: MeterDefinition,
    events: Sequence[MeasuredEvent],
    period: Period = JANUARY,
    full: Period | None = None,
    timezone: str = "UTC",
) -> Measurement:
    return measure(meter=definition, events=events, period=period, full=full or period, timezone=timezone)


def quantity(definition: MeterDefinition, events: Sequence[MeasuredEvent], **keys: Any) -> str:
    return str(measured(definition, events, **keys).quantity)


def test_it_works() -> None:
    result = measured(meter("sum"), [happened(1, 12), happened(2, Decimal("0.5"))])
    assert result.quantity == Decimal("12.5")
    assert [(fate.counted, fate.value, fate.reason) for fate in result.fates] == [
        (True, "12", None), (True, "0.5", None)
    ]  # fmt: skip
    assert result.cells == []


EVENTS = [happened(-1, 100), happened(3, 2), happened(1, 6), happened(2, -1), happened(40, 1000)]


@pytest.mark.parametrize(
    ("aggregation", "expected", "recurring"),
    [
        ("count", "3", "4"),
        ("sum", "7", "107"),
        ("max", "6", "100"),
        ("min", "-1", "-1"),
        ("latest", "2", "2"),
        ("unique_count", "3", "4"),
    ],
)
def test_each_aggregation_and_what_it_carries_in(aggregation: str, expected: str, recurring: str) -> None:
    assert quantity(meter(aggregation), EVENTS) == expected
    assert quantity(meter(aggregation, recurring=True), EVENTS) == recurring


def test_an_average_is_exact_until_it_is_written() -> None:
    assert quantity(meter("average"), EVENTS) == "2.333333333333333333333333333333"
    assert quantity(meter("average", recurring=True), EVENTS) == "26.75"
    assert quantity(meter("average", rounding={"mode": "up", "places": 2}), EVENTS) == "2.34"


def test_a_weighted_sum_is_the_average_level_over_time() -> None:
    events = [happened(-5, 31), happened(0, 62), happened(30, -31)]
    assert quantity(meter("weighted_sum"), events) == "61"
    assert quantity(meter("weighted_sum", recurring=True), events) == "92"


def test_a_weighted_sum_divides_by_the_full_period_also_in_a_part_of_it() -> None:
    part = Period(START + timedelta(days=21), JANUARY.until)
    events = [happened(0, 31), happened(26, 62)]
    assert quantity(meter("weighted_sum", recurring=True), events, period=part, full=JANUARY) == "20"


@pytest.mark.parametrize(
    "aggregation", ["count", "sum", "max", "min", "unique_count", "latest", "average", "weighted_sum"]
)
def test_no_events_give_zero(aggregation: str) -> None:
    assert quantity(meter(aggregation), []) == "0"
    assert quantity(meter(aggregation, recurring=True), [happened(31)]) == "0"


def test_a_period_contains_its_start_and_not_its_end_to_the_microsecond() -> None:
    events = [
        happened("2025-12-31T23:59:59.999999+00:00"),
        happened("2026-01-01T00:00:00+00:00"),
        happened("2026-02-01T00:59:59.999999+01:00"),
        happened("2026-02-01T00:00:00+00:00"),
    ]
    fates = measured(meter("count"), events).fates
    assert [fate.counted for fate in fates] == [False, True, True, False]
    assert {fate.reason for fate in fates if not fate.counted} == {"outside the period"}


def test_the_fate_of_each_event_is_told() -> None:
    definition = meter("unique_count", filters={"region": ["eu", "us"], "level": 1}, operation="op")
    good = {"region": "eu", "level": Decimal("1.0")}
    events = [
        happened(1, "alice", **good),
        happened(2, Decimal("7.0"), **good, op="remove"),
        happened(3, True, **good, op=None),
        happened(4, None, **good),
        happened(5, ["bob"], **good),
        happened(6, "bob", **good, op="delete"),
        happened(7, "bob", region="asia", level=1),
        happened(8, "bob", region="eu", level="1"),
        happened(9, "bob", region="eu", level=True),
        happened(10, "bob", level=1),
        happened(32, "bob", **good),
        happened(1, "alice", **good),
    ]
    result = measured(definition, events)
    assert result.quantity == 2
    assert [fate.value or fate.reason for fate in result.fates] == [
        "alice",
        "7",
        "true",
        "invalid: The property n is missing.",
        "invalid: The property n is not a single value.",
        "invalid: The property op is neither add nor remove.",
        *["does not match the filters"] * 4,
        "outside the period",
        "a repeat of an event above",
    ]


def test_a_count_reads_no_value() -> None:
    assert [fate.value for fate in measured(meter("count"), [happened(1, "x")]).fates] == [None]


def test_a_text_is_not_the_number_that_it_shows() -> None:
    values = ["1", 1, Decimal("1.0"), True, "true"]
    assert quantity(meter("unique_count"), [happened(day, n) for day, n in enumerate(values)]) == "4"


def test_values_of_more_digits_than_are_written_are_told_apart() -> None:
    events = [happened(1, 3), happened(2, Decimal("3.0000000000000000000000000000000000000001"))]
    assert quantity(meter("unique_count", value="1 / n"), events) == "2"


def test_a_value_of_thousands_of_places_is_still_written() -> None:
    definition = meter("sum", value="*".join(["n"] * 200))
    assert quantity(definition, [happened(1, Decimal("0.9999999999999999999999999999999999999999"))]) == "1"


def test_ties_in_time_go_by_arrival() -> None:
    early, late = happened(1, 5, op="add"), happened(1, 8, op="add")
    assert quantity(meter("latest"), [early, late]) == "8"
    assert quantity(meter("latest"), [late, early]) == "5"
    gone = happened(1, 5, op="remove")
    assert quantity(meter("unique_count", operation="op"), [early, gone]) == "0"
    assert quantity(meter("unique_count", operation="op"), [gone, early]) == "1"


def test_cells_hold_each_dimension_apart() -> None:
    definition = meter("sum", group_by=["model", "usage.tier"])
    events = [
        happened(1, 1, model="large", usage={"tier": 1}),
        happened(2, 2, model="large", usage={"tier": Decimal("1.0")}),
        happened(3, 4, model="small", usage={"tier": False}),
        happened(4, 8),
        happened(5, "x", model="broken"),
    ]
    result = measured(definition, events)
    assert [(list(cell.dimensions.values()), int(cell.quantity)) for cell in result.cells] == [
        ([None, None], 8),
        (["large", "1"], 3),
        (["small", "false"], 4),
    ]
    assert list(result.cells[0].dimensions) == ["model", "usage.tier"]
    assert result.quantity == 15


def test_a_cell_that_nothing_is_left_of_is_none() -> None:
    definition = meter("sum", group_by=["model"], recurring=True)
    events = [happened(-2, 5, model="a"), happened(-1, -5, model="a"), happened(-1, 3, model="b")]
    assert [cell.dimensions for cell in measured(definition, events).cells] == [{"model": "b"}]


def test_what_does_not_add_up_is_measured_anew_for_the_whole() -> None:
    events = [happened(1, "alice", team="red"), happened(2, "alice", team="blue")]
    result = measured(meter("unique_count", group_by=["team"]), events)
    assert [cell.quantity for cell in result.cells] == [1, 1]
    assert result.quantity == 1


SEATS = meter("unique_count", operation="op", recurring=True, prorate=True)


@pytest.mark.parametrize(
    ("events", "days"),
    [
        ([happened(-10, "a")], 31),
        ([happened(0.5, "a")], 31),
        ([happened(30.9, "a")], 1),
        ([happened(-10, "a"), happened(0.5, "a", op="remove")], 1),
        ([happened(-10, "a"), happened(-9, "a", op="remove")], 0),
        ([happened(4, "a"), happened(9.9, "a", op="remove")], 6),
        ([happened(4, "a"), happened(4.1, "a", op="remove"), happened(4.2, "a")], 27),
        ([happened(4, "a"), happened(4.1, "a", op="remove"), happened(4.2, "a"), happened(4.3, "a", op="remove")], 1),
        ([happened(4, "a"), happened(6, "a")], 27),
        ([happened(6, "a", op="remove")], 0),
        ([happened(-10, "a"), happened(21, "b")], 41),
    ],
)
def test_a_value_weighs_by_the_days_it_was_there(events: list[MeasuredEvent], days: int) -> None:
    rounded = parse_meter({"aggregation": "unique_count", "value": "n", "operation": "op", "recurring": True,
                           "prorate": True, "rounding": {"places": 6}})  # fmt: skip
    assert Decimal(quantity(rounded, events)) == round(Decimal(days) / 31, 6)


def test_a_prorated_sum_counts_the_first_and_the_last_day_of_each_part() -> None:
    definition = meter("sum", recurring=True, prorate=True)
    assert quantity(definition, [happened(-10, 31), happened(21, 62)]) == "51"
    assert quantity(definition, [happened(0, 31), happened(9, -31)]) == "10"
    assert quantity(definition, [happened(30, -31)]) == "0"


def test_days_are_those_of_the_zone_and_the_divisor_those_of_the_full_period() -> None:
    new_york = Period(datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 2, 1, 5, tzinfo=UTC))
    definition = meter("sum", recurring=True, prorate=True)
    event = happened("2026-01-22T02:00:00+00:00", 31)  # the evening of the 21st
    assert quantity(definition, [event], period=new_york, timezone="America/New_York") == "11"
    part = Period(datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 1, 24, 5, tzinfo=UTC))
    assert quantity(definition, [event], period=part, full=new_york, timezone="America/New_York") == "3"


@pytest.mark.parametrize(
    ("mode", "places", "value", "expected"),
    [
        ("half_up", 2, "1.005", "1.01"),
        ("half_up", 0, "-2.5", "-3"),
        ("up", 0, "2.1", "3"),
        ("up", 0, "-2.1", "-3"),
        ("down", 0, "-2.9", "-2"),
        ("down", 1, "2.99", "2.9"),
        ("half_up", -2, "1250", "1300"),
        ("up", -1, "1250", "1250"),
        ("up", -1, "1250.01", "1260"),
        ("down", 0, "-0.5", "0"),
    ],
)
def test_the_quantity_is_rounded_once(mode: str, places: int, value: str, expected: str) -> None:
    definition = meter("sum", rounding={"mode": mode, "places": places})
    assert format(measured(definition, [happened(1, value)]).quantity, "f") == expected


def test_a_period_must_have_length_and_lie_in_the_full_one() -> None:
    with pytest.raises(ValueError, match="without length"):
        measured(meter("count"), [], period=Period(START, START))
    with pytest.raises(ValueError, match="reaches beyond"):
        measured(meter("count"), [], full=Period(START, START + timedelta(days=1)))


# --- properties ---------------------------------------------------------------------------------------------------

MINUTE = Period(START, START + timedelta(seconds=60))
Facts = list[tuple[int, int, str]]
"""Second from the start, value, operation."""

facts: st.SearchStrategy[Facts] = st.lists(
    st.tuples(st.integers(-20, 79), st.integers(-3, 3), st.sampled_from(["add", "remove"])), max_size=15
)


def as_events(history: Facts) -> list[MeasuredEvent]:
    return [
        MeasuredEvent(place, START + timedelta(seconds=second), {"n": n, "op": operation})
        for place, (second, n, operation) in enumerate(history)
    ]


@given(facts, st.booleans())
def test_a_weighted_sum_is_the_area_second_by_second(history: Facts, recurring: bool) -> None:
    area = 0
    for now in range(60):
        area += sum(n for second, n, _ in history if second <= now and (recurring or second >= 0))
    definition = meter("weighted_sum", recurring=recurring, rounding={"places": 9})
    exact = Fraction(area, 60) * 10**9
    rounded = (2 * abs(exact).numerator + exact.denominator) // (2 * exact.denominator)
    expected = Decimal(rounded if exact > 0 else -rounded) / 10**9
    assert measured(definition, as_events(history), MINUTE).quantity == expected


@given(facts, st.booleans())
def test_a_unique_count_is_what_a_replay_leaves(history: Facts, recurring: bool) -> None:
    there = set()
    for second, n, operation in sorted(history, key=lambda fact: fact[0]):
        if second < 60 and (recurring or second >= 0):
            (there.add if operation == "add" else there.discard)(n)
    definition = meter("unique_count", operation="op", recurring=recurring)
    assert measured(definition, as_events(history), MINUTE).quantity == len(there)


@given(facts)
def test_a_prorated_unique_count_is_what_a_replay_of_days_finds(history: Facts) -> None:
    month = Period(START, START + timedelta(days=10))
    events = [
        MeasuredEvent(place, START + timedelta(hours=6 * second), {"n": n, "op": operation})
        for place, (second, n, operation) in enumerate(history)
    ]
    there: set[int] = set()
    present: set[tuple[int, int]] = set()  # day and value
    ordered = sorted(history, key=lambda fact: fact[0])
    for _, n, operation in (fact for fact in ordered if fact[0] < 0):
        (there.add if operation == "add" else there.discard)(n)
    for day in range(10):
        present |= {(day, n) for n in there}
        for second, n, operation in ordered:
            if second >= 0 and second // 4 == day:
                (there.add if operation == "add" else there.discard)(n)
                present |= {(day, n) for n in there}
    assert measured(SEATS, events, month).quantity == Decimal(len(present)) / 10


@given(facts, st.randoms(use_true_random=False), st.sampled_from(
    ["count", "sum", "max", "min", "unique_count", "latest", "average", "weighted_sum"]
), st.booleans())  # fmt: skip
def test_the_order_of_arrival_matters_only_for_ties(
    history: Facts, random: Any, aggregation: str, recurring: bool
) -> None:
    apart = list({second: (second, n, operation) for second, n, operation in history}.values())
    operation = {"operation": "op"} if aggregation == "unique_count" else {}
    definition = meter(aggregation, recurring=recurring, **operation)
    shuffled = random.sample(apart, len(apart))
    first, second = (measured(definition, as_events(each), MINUTE).quantity for each in (apart, shuffled))
    assert first == second


@given(facts, st.integers(1, 59), st.sampled_from(["count", "sum"]))
def test_the_parts_of_a_period_add_up(history: Facts, cut: int, aggregation: str) -> None:
    at = START + timedelta(seconds=cut)
    events = as_events(history)
    parts = [
        measured(meter(aggregation), events, part).quantity
        for part in (Period(START, at), Period(at, MINUTE.until))
    ]  # fmt: skip
    assert sum(parts) == measured(meter(aggregation), events, MINUTE).quantity


@given(facts)
def test_cells_of_a_sum_add_up_to_the_whole(history: Facts) -> None:
    result = measured(meter("sum", group_by=["op"]), as_events(history), MINUTE)
    assert sum(cell.quantity for cell in result.cells) == result.quantity
