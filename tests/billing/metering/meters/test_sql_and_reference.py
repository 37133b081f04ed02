"""What a meter's SQL reads from an event is what the plain computation reads, for any meter and any data."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.definitions import MeterDefinition, Rounding, parse_meter
from billing.metering.exact_json import dumps
from billing.metering.expressions import evaluate
from billing.metering.filters import matches
from billing.metering.measuring import MeasuredEvent, measure, round_quantity
from billing.metering.meters import counted, dimension, reason
from billing.metering.meters.compiling import QUOTIENT_PLACES
from billing.metering.models import Meter
from billing.periods import Period

pytestmark = pytest.mark.django_db
PERIOD = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))

NAMES = ["n", "m", "usage.n", "list.1"]
EDGES: list[Any] = [
    0, 1, -1, 5, Decimal("5.0"), Decimal("0.1"), Decimal("-2.50"), 10**40, 10**40 - 1, Decimal("1e400"), 7 * 10**20,
    Decimal("1e-40"), Decimal("1e-41"), Decimal("3.1000"), "0.75", "+5", "-.5", "7.", "1e3", "1e-41", "five", "", " 1",
    "NaN", "Infinity", "9" * 41, "add", "remove", "true", "1", "1.0", True, False, None, [1], {"m": 1},
]  # fmt: skip
values = (
    st.sampled_from(EDGES)
    | st.integers(-(10**6), 10**6)
    | st.decimals(-1000, 1000, places=3)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**39), max_value=10**39).map(str)
)
data = st.fixed_dictionaries(
    {},
    optional={
        "n": values,
        "m": values,
        "usage": st.fixed_dictionaries({}, optional={"n": values}) | values,
        "list": st.lists(values, max_size=3),
        "odd name": values,
    },
)


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Longer expressions of shorter ones."""
    several = st.lists(inner, min_size=1, max_size=3).map(", ".join)
    return (
        st.tuples(inner, st.sampled_from("+-*//"), inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})")
        | st.tuples(st.sampled_from(["min", "max", "coalesce", "coalesce"]), several).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        )
        | st.tuples(st.sampled_from(["ceil", "floor", "-"]), inner).map(lambda parts: f"{parts[0]}({parts[1]})")
    )


literals = st.sampled_from(["0", "1", "3", "0.5", "1000000", "12.340", "9" * 40])
expressions = st.recursive(st.sampled_from([*NAMES, '"odd name"']) | literals, _joined, max_leaves=8).filter(
    lambda text: len(text) <= 500
)
single = st.sampled_from([value for value in EDGES if value is None or not isinstance(value, (dict, list))])
options = single.filter(lambda value: value is not None)
bounds = st.sampled_from(["0", "1", "0.75", "-2.5", 5, "1e3"])
conditions = (
    options
    | st.lists(options, min_size=1, max_size=3)
    | st.fixed_dictionaries(
        {"not": options | st.lists(options, min_size=1, max_size=2)}, optional={"exists": st.booleans()}
    )
    | st.fixed_dictionaries({"exists": st.booleans()}, optional={"lte": bounds})
    | st.fixed_dictionaries({"gt": bounds}, optional={"lt": bounds})
    | st.fixed_dictionaries({"gte": bounds})
)
filters = st.dictionaries(st.sampled_from([*NAMES, "odd name"]), conditions, max_size=2)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Meters that can be saved."""
    aggregation = draw(st.sampled_from(Meter.Aggregation.values))
    found: dict[str, Any] = {"aggregation": aggregation, "filters": draw(filters)}
    if aggregation != "count":
        found["value"] = draw(expressions | st.sampled_from(NAMES))
    if aggregation == "unique_count" and draw(st.booleans()):
        found["operation"] = draw(st.sampled_from(NAMES))
    return found


def by_sql(meter: Meter, events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Whether each passes the filters, its value, whether it adds it, whether it is valid, and why not."""
    count, why = counted(meter), reason(meter)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT coalesce((true {count.filters.sql}), false), c.value, c.adds, {count.valid}, {why.sql}
                FROM unnest(%s::jsonb[]) WITH ORDINALITY e(data, n)
                CROSS JOIN LATERAL (SELECT {count.value.sql} AS value, {count.adds.sql} AS adds OFFSET 0) c
                ORDER BY e.n""",
            [*count.filters.values, *why.values, [dumps(each) for each in events],
             *count.value.values, *count.adds.values],
        )  # fmt: skip
        return list(cursor.fetchall())


def plainly(definition: MeterDefinition, event: dict[str, Any]) -> tuple[bool, str | None, str | None]:
    """Whether an event counts, its value, and why it does not."""
    found = measure(
        meter=definition,
        events=[MeasuredEvent("e", PERIOD.start, event)],
        period=PERIOD,
        full=PERIOD,
        timezone="UTC",
    )
    fate = found.fates[0]
    return fate.counted, fate.value, fate.reason


def assert_value(found: Any, definition: MeterDefinition, event: dict[str, Any], shown: str | None) -> None:
    """The number, to the places that a quotient keeps; or the single value that is counted once."""
    if definition.aggregation == "count":
        assert found is None
    elif (definition.aggregation == "unique_count" and found[0] == '"') or found in ("true", "false"):
        assert found.strip('"') == shown  # the texts above need no escapes
    else:
        assert definition.value is not None
        exact = evaluate(definition.value, event)
        assert Fraction(found) in (exact, Fraction(round_quantity(exact, Rounding("half_up", QUOTIENT_PLACES))))
        assert definition.aggregation != "unique_count" or "." not in found or found[-1] != "0"


def test_it_works() -> None:
    meter = Meter(aggregation="sum", value="input + 4 * output", event_type="call")
    assert by_sql(meter, [{"input": 5, "output": "6"}, {"input": 1}]) == [
        (True, Decimal(29), True, True, None),
        (True, None, True, False, "The property output is missing."),
    ]


@given(definition=definitions(), events=st.lists(data, min_size=1, max_size=12))
def test_every_event_is_counted_alike(definition: dict[str, Any], events: list[dict[str, Any]]) -> None:
    meter = Meter(event_type="call", **definition)
    read = parse_meter(definition)
    assert meter.definition() == read
    for event, (passes, value, adds, valid, why) in zip(events, by_sql(meter, events), strict=True):
        assert passes == all(matches(each, event) for each in read.filters)
        if passes:
            is_counted, expected, wrong = plainly(read, event)
            assert (valid, why) == (is_counted, wrong and wrong.removeprefix("invalid: "))
            if valid:
                assert_value(value, read, event, expected)
                assert adds is not None


@given(events=st.lists(data, min_size=1, max_size=12), path=st.sampled_from(["n", "usage.n", "odd name"]))
def test_dimensions_are_written_alike(events: list[dict[str, Any]], path: str) -> None:
    definition = parse_meter({"aggregation": "count", "group_by": [path]})
    expected = [
        measure(
            meter=definition,
            events=[MeasuredEvent("e", PERIOD.start, event)],
            period=PERIOD,
            full=PERIOD,
            timezone="UTC",
        )
        .cells[0]
        .dimensions[path]
        for event in events
    ]
    label = dimension(path)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {label.sql} FROM unnest(%s::jsonb[]) WITH ORDINALITY e(data, n) ORDER BY e.n",
            [*label.values, [dumps(each) for each in events]],
        )
        assert [row[0] for row in cursor.fetchall()] == expected
