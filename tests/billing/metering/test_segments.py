"""Periods cut into dekads, days, hours and edges: every instant once, and nothing that is not whole."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.segments import Columns, Segments, dekad_of
from billing.periods import Period

START = datetime(2026, 3, 1, tzinfo=UTC)


def bounds(columns: Columns) -> list[tuple[str, str]]:
    return list(zip(columns.starts, columns.ends, strict=True))


def cut(period: Period, settled: datetime | None = None) -> Segments:
    segments = Segments(settled)
    segments.add(7, 3, period)
    return segments


def test_it_works() -> None:
    """A month in Kathmandu: two edges of 45 and 15 minutes, hours up to midnight UTC, and days between."""
    period = Period(datetime(2026, 2, 28, 18, 15, tzinfo=UTC), datetime(2026, 3, 31, 18, 15, tzinfo=UTC))
    found = cut(period)
    assert bounds(found.edges) == [
        ("2026-02-28T18:15:00+00:00", "2026-02-28T19:00:00+00:00"),
        ("2026-03-31T18:00:00+00:00", "2026-03-31T18:15:00+00:00"),
    ]
    assert bounds(found.hours) == [
        ("2026-02-28T19:00:00+00:00", "2026-03-01T00:00:00+00:00"),
        ("2026-03-31T00:00:00+00:00", "2026-03-31T18:00:00+00:00"),
    ]
    assert bounds(found.days) == [("2026-03-01T00:00:00+00:00", "2026-03-31T00:00:00+00:00")]
    assert (found.whole.keys, found.whole.subjects) == ([7], [3])
    assert found.days.literals()[:2] == ["{7}", "{3}"]


def test_a_month_of_utc_is_days_alone() -> None:
    found = cut(Period(START, START + timedelta(days=31)))
    assert (len(found.days), len(found.hours), len(found.edges)) == (1, 0, 0)


def test_what_never_ends_ends_in_days() -> None:
    found = cut(Period(START + timedelta(minutes=5), None))
    assert [ends for _, ends in bounds(found.days)] == ["infinity"]
    assert (len(found.edges), len(found.hours)) == (1, 1)


def test_a_month_that_is_settled_is_dekads_alone() -> None:
    """And one in Kathmandu, whose last day is cut, is two dekads and the days of a third."""
    april = START + timedelta(days=31)
    found = cut(Period(START, april), april)
    assert bounds(found.dekads) == [(START.isoformat(), april.isoformat())]
    assert (len(found.days), len(found.hours), len(found.edges)) == (0, 0, 0)
    found = cut(Period(datetime(2026, 2, 28, 18, 15, tzinfo=UTC), datetime(2026, 3, 31, 18, 15, tzinfo=UTC)), april)
    assert bounds(found.dekads) == [(START.isoformat(), "2026-03-21T00:00:00+00:00")]
    assert bounds(found.days) == [("2026-03-21T00:00:00+00:00", "2026-03-31T00:00:00+00:00")]


@pytest.mark.parametrize(("day", "dekad"), [(1, 1), (10, 1), (11, 11), (20, 11), (21, 21), (31, 21)])
def test_a_month_has_three_dekads(day: int, dekad: int) -> None:
    assert dekad_of(START.replace(day=day, hour=23, minute=59)) == START.replace(day=dekad)


@given(st.integers(0, 10**10), st.integers(0, 10**10), st.none() | st.integers(-3, 160))
def test_the_stretches_tile_the_period(start: int, length: int, until: int | None) -> None:
    """Dekads, days, hours and edges together are the period, without gap or overlap; all but edges are whole."""
    settled = None if until is None else dekad_of(START + timedelta(days=until))
    period = Period(START + timedelta(microseconds=start * 7), START + timedelta(microseconds=start * 7 + length * 311))
    found = cut(period, settled)
    pieces = sorted([*bounds(found.dekads), *bounds(found.days), *bounds(found.hours), *bounds(found.edges)])
    assert pieces[:1] == [] if period.is_empty else pieces[0][0] == period.start.isoformat()
    for (_, end), (following, _) in itertools.pairwise(pieces):
        assert end == following
    assert not pieces or pieces[-1][1] == period.until.isoformat()
    for begin, end in bounds(found.dekads):
        first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
        assert (first, last) == (dekad_of(first), dekad_of(last))
        assert settled is not None
        assert last <= settled
    for begin, end in bounds(found.days):
        assert begin.endswith("T00:00:00+00:00")
        assert end.endswith("T00:00:00+00:00")
    for begin, end in [*bounds(found.hours), *bounds(found.inner)]:
        assert begin.endswith(":00:00+00:00")
        assert end.endswith(":00:00+00:00")
    hours_of_inner = [datetime.fromisoformat(end) - datetime.fromisoformat(begin) for begin, end in bounds(found.inner)]
    parts = [*bounds(found.dekads), *bounds(found.days), *bounds(found.hours)]
    hours_of_parts = [datetime.fromisoformat(end) - datetime.fromisoformat(begin) for begin, end in parts]
    assert sum(hours_of_inner, timedelta()) == sum(hours_of_parts, timedelta())
