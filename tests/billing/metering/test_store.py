"""A meter's quantities: every aggregation, filter and kind of value, over dated claims of several subjects."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.metering import listing, store
from billing.metering.asking import BEGINNING, Quantity, Request
from billing.metering.expressions import quoted
from billing.metering.models import Meter
from billing.metering.services import ingest
from billing.metering.validate import NewEvent, new_event
from billing.periods import Period

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=UTC)
_ids = count()
ALWAYS = Period(BEGINNING, None)
MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


def at(day: int, month: int = 3, **clock: int) -> datetime:
    return datetime(2026, month, day, **clock, tzinfo=UTC)


def record(*events: NewEvent) -> None:
    assert ingest(events=events, origin="test", default_source="app", now=NOW).accepted == len(events)


def calls(*data: dict[str, Any], subject: str = "acme", time: datetime | None = None) -> list[NewEvent]:
    """An event for each data, all at one time."""
    return [new_event(id=str(next(_ids)), type="call", subject=subject, data=each, time=time or at(5)) for each in data]


def meter(aggregation: str = "sum", value: str = "n", **fields: Any) -> Meter:
    value = "" if aggregation == "count" else value
    return Meter(code="m", name="m", event_type="call", aggregation=aggregation, value=value, **fields)


def march(*subjects: str, key: int = 1) -> Request:
    return Request(key, tuple((subject, ALWAYS) for subject in subjects or ("acme",)), MARCH)


def measured(asked: Meter, *subjects: str) -> Quantity:
    return store.quantities(asked, [march(*subjects)])[1]


def test_it_works() -> None:
    record(*calls({"n": 2}, {"n": 3}))
    assert store.quantities(meter(), [march()]) == {1: Quantity(Decimal(5), 2, 0)}


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("count", Quantity(Decimal(8), 8, 0)),
        ("sum", Quantity(Decimal("7.75"), 4, 4)),
        ("max", Quantity(Decimal(5), 4, 4)),
        ("unique_count", Quantity(Decimal(5), 6, 2)),
    ],
)
def test_what_cannot_be_read_is_counted_as_invalid(aggregation: str, expected: Quantity) -> None:
    values: list[Any] = [5, Decimal("5.0"), "0.75", Decimal(-3), "five", True, None]
    record(*calls(*({"n": value} for value in values), {}))
    assert measured(meter(aggregation)) == expected


@pytest.mark.parametrize("value", ["", " 1", "1 ", "1,000", "0x10", "NaN", "Infinity", "1e", "١", [1], {"a": 1}, False])
def test_what_is_no_number_is_invalid_for_a_sum(value: Any) -> None:
    record(*calls({"n": value}))
    assert measured(meter()) == Quantity(Decimal(0), 0, 1)


@pytest.mark.parametrize("number", ["1e40", "1e-41", "1e9999", "9" * 41, "0" * 100_000, "1e130000"])
def test_numbers_of_more_than_forty_digits_are_invalid(number: str) -> None:
    record(*calls({"n": number}))
    assert measured(meter()) == Quantity(Decimal(0), 0, 1)


def test_a_json_number_beyond_all_measure_is_invalid_and_harms_no_other() -> None:
    body = '{"id": "x", "type": "call", "subject": "acme", "time": "2026-03-05T00:00:00Z", "data": {"n": 1e130000}}'
    assert ingest(events=body.encode(), origin="test", default_source="app", now=NOW).accepted == 1
    record(*calls({"n": 4}))
    assert measured(meter()) == Quantity(Decimal(4), 1, 1)


@pytest.mark.parametrize("number", ["+5", ".5", "5.", "1e3", "1E-3", "-0", "9" * 40])
def test_numeric_strings_are_numbers(number: str) -> None:
    record(*calls({"n": number}))
    assert measured(meter()) == Quantity(Decimal(number), 1, 0)


def test_sums_are_exact() -> None:
    record(*calls(*({"n": Decimal("0.1")} for _ in range(10)), {"n": Decimal("12345678901234567.123456789")}))
    assert measured(meter()).value == Decimal("12345678901234568.123456789")


def test_a_maximum_may_be_negative_and_is_zero_without_events() -> None:
    assert measured(meter("max")) == Quantity()
    record(*calls({"n": -7}, {"n": -2}))
    assert measured(meter("max")).value == -2


def test_distinct_values_are_json_values() -> None:
    record(*calls(*({"n": value} for value in (1, Decimal("1.0"), "1", "1.0", True, "true", "a", "a"))))
    assert measured(meter("unique_count")) == Quantity(Decimal(6), 8, 0)


def test_a_distinct_value_counts_once_over_all_subjects_and_pieces() -> None:
    record(*calls({"n": "u1"}, {"n": "u2"}), *calls({"n": "u2"}, subject="beta"))
    pieces = (("acme", Period(BEGINNING, at(5))), ("acme", Period(at(5), None)), ("beta", ALWAYS))
    answers = store.quantities(meter("unique_count"), [Request(1, pieces, MARCH), march("beta", key=2)])
    assert answers == {1: Quantity(Decimal(2), 3, 0), 2: Quantity(Decimal(1), 1, 0)}


def test_values_lie_as_deep_as_the_path_goes() -> None:
    record(*calls({"usage": {"output": 4}}, {"usage": 5}, {"usage.output": 6}))
    assert measured(meter(value="usage.output")) == Quantity(Decimal(4), 1, 2)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"region": "eu"}, 1),
        ({"region": ["eu", "us"]}, 3),
        ({"region": ["eu", "us"], "tier": 1}, 1),
        ({"tier": "1"}, 2),
        ({"flag": True}, 8),
        ({"flag": "true"}, 0),
        ({"plan.name": "pro"}, 16),
        ({"nothing": "x"}, 0),
    ],
)
def test_filters_compare_as_json(filters: dict[str, Any], expected: int) -> None:
    record(
        *calls(
            {"n": 1, "region": "eu", "tier": Decimal("1.0")},
            {"n": 2, "region": "us", "tier": "1"},
            {"n": 4, "region": "jp"},
            {"n": 8, "flag": True},
            {"n": 16, "plan": {"name": "pro"}},
        )
    )
    assert measured(meter(filters=filters)).value == expected


def test_only_events_of_the_meters_type_count() -> None:
    record(new_event(id="1", type="other", subject="acme", data={"n": 1}, time=at(5)))
    assert measured(meter()) == Quantity()


def test_a_period_contains_its_start_and_not_its_end() -> None:
    last = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    for n, moment in enumerate([MARCH.start, last, at(1, 4), datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)]):
        record(*calls({"n": 10**n}, time=moment))
    assert measured(meter()).value == 11


def test_a_claim_counts_only_in_its_time() -> None:
    record(*calls({"n": 1}, time=at(5)), *calls({"n": 2}, time=at(10)), *calls({"n": 4}, time=at(15)))
    before, after = Period(BEGINNING, at(10)), Period(at(10), None)
    asked = [Request(1, (("acme", before),), MARCH), Request(2, (("acme", after),), MARCH), Request(3, (), MARCH)]
    values = {key: answer.value for key, answer in store.quantities(meter(), asked).items()}
    assert values == {1: 1, 2: 6, 3: 0}


def test_two_requests_with_one_key_are_an_error() -> None:
    with pytest.raises(ValueError, match="same key"):
        store.quantities(meter(), [march(), march()])


def test_one_statement_answers_any_number_of_requests() -> None:
    record(*calls(*({"n": 1} for _ in range(5))))
    with CaptureQueriesContext(connection) as captured:
        answers = store.quantities(meter(), [march(f"s{key}", "acme", key=key) for key in range(300)])
    assert sum("metering_event" in query["sql"] for query in captured) == 1
    assert len(captured) <= 8  # numbers of names are remembered once their transaction is over
    assert {answer.value for answer in answers.values()} == {5}


@pytest.mark.parametrize(
    "nasty", ["n'", 'n"', "n}'::text[]); DROP TABLE metering_event; --", "n%s", "%(n)s", "{n}", "\\n"]
)
def test_names_and_values_are_never_read_as_sql(nasty: str) -> None:
    record(*calls({nasty: 3, "f": nasty}))
    subject = march("acme", nasty)
    asked = meter(value=quoted([nasty]), filters={"f": [nasty, "other"], nasty: 3})
    assert store.quantities(asked, [subject]) == {1: Quantity(Decimal(3), 1, 0)}
    assert store.breakdown(asked, [subject], [nasty]) == [(1, ("3",), Quantity(Decimal(3), 1, 0))]
    assert [event.value for event in listing.events_of(asked, subject)] == [3]


def test_a_breakdown_names_each_combination_and_those_without() -> None:
    record(*calls({"n": 1, "a": "x"}, {"n": 2, "a": "x", "b": 1}, {"n": 4, "b": 1}, {"n": "?", "b": 1}))
    assert store.breakdown(meter(), [march()], ["a", "b"]) == [
        (1, (None, "1"), Quantity(Decimal(4), 1, 1)),
        (1, ("x", None), Quantity(Decimal(1), 1, 0)),
        (1, ("x", "1"), Quantity(Decimal(2), 1, 0)),
    ]


def test_events_are_shown_newest_first_with_what_is_wrong_with_them() -> None:
    record(*calls({"n": "7"}, {}, {"n": "x"}, {"n": [1]}), *calls({"n": Decimal("0.10")}, time=at(6)))
    shown = listing.events_of(meter(), march(), limit=4)
    assert [(event.value, event.problem) for event in shown] == [
        (Decimal("0.10"), ""),
        (None, "The property n is not a single value."),
        (None, "The property n is not a number of at most 40 digits."),
        (None, "The property n is missing."),
    ]
    assert (shown[0].data, shown[0].source, shown[0].time, shown[0].recorded_at) == (
        {"n": Decimal("0.10")}, "app", at(6), NOW,
    )  # fmt: skip
