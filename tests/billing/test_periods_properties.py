"""What holds for every calendar, zone and partition."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.cycles import BillingCalendar, Cadence
from billing.periods import Period, local_date, local_midnight

zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/Sao_Paulo", "America/St_Johns", "Pacific/Apia", "Asia/Kolkata", "Africa/Cairo"]
)
instants = st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis' way
prorations = st.sampled_from(["day", "second", "month30"])


@st.composite
def calendars(draw: st.DrawFn) -> BillingCalendar:
    cadence = Cadence.parse(draw(st.sampled_from(["P1D", "P10D", "P1W", "P2W", "P1M", "P3M", "P5M", "P1Y", "P2Y"])))
    last = {"day": 0, "week": 7}.get(cadence.unit, 31)
    day = draw(st.none() | st.integers(1, last)) if last else None
    month = draw(st.none() | st.integers(1, 12)) if cadence.months else None
    return BillingCalendar(cadence, draw(instants), draw(zones), day, month)


@given(calendars(), st.integers(1, 800))
def test_cycles_tile_time_without_gap_or_overlap(calendar: BillingCalendar, days: int) -> None:
    until = calendar.start + timedelta(days=days)
    cycles = list(calendar.cycles(until))
    assert cycles[0].period.start == calendar.start
    assert cycles[-1].period.end is not None
    assert cycles[-1].period.start < until <= cycles[-1].period.end
    for before, after in pairwise(cycles):
        assert before.period.end == after.period.start == after.full.start
        assert after.period == after.full


@given(calendars())
def test_monthly_boundaries_never_drift_from_their_anchor(calendar: BillingCalendar) -> None:
    anchor = calendar.anchor_day or local_date(calendar.start, calendar.timezone).day
    for cycle in calendar.cycles(calendar.start + timedelta(days=1500)):
        day = local_date(cycle.full.start, calendar.timezone)
        if calendar.cadence.months and day != date(2011, 12, 31):  # Apia skipped the 30th
            assert day.day == anchor or (day.day < anchor and (day + timedelta(days=1)).day == 1)


@given(calendars(), st.integers(0, 5000), st.integers(0, 86_399))
def test_starting_anywhere_gives_the_same_cycles(calendar: BillingCalendar, days: int, seconds: int) -> None:
    instant = calendar.start + timedelta(days=days, seconds=seconds)
    cycle = calendar.cycle_at(instant)
    assert cycle.period.contains(instant)
    assert next(calendar.cycles(instant + timedelta(seconds=1), from_=instant)) == cycle
    if days < 900:
        assert [one for one in calendar.cycles(instant + timedelta(seconds=1)) if one.period.contains(instant)] == [
            cycle
        ]


@given(calendars(), st.integers(0, 2000), st.lists(st.floats(0, 1), max_size=5), prorations)
def test_the_shares_of_parts_that_tile_a_cycle_add_up_to_one(
    calendar: BillingCalendar, days: int, places: list[float], proration: str
) -> None:
    full = calendar.cycle_at(calendar.start + timedelta(days=days)).full
    assert full.end is not None
    bounds = sorted([full.start, *(full.start + (full.end - full.start) * place for place in places), full.end])
    shares = [calendar.share(Period(*pair), full, proration) for pair in pairwise(bounds)]
    assert sum(shares) == 1
    assert calendar.timezone == "America/St_Johns" or all(0 <= one <= 1 for one in shares)


@given(st.dates(date(1900, 1, 1), date(2035, 1, 1)), zones)
def test_a_local_midnight_is_the_first_instant_of_its_day(day: date, timezone: str) -> None:
    instant = local_midnight(day, timezone)
    assert local_date(instant, timezone) == day or (timezone, day) == ("Pacific/Apia", date(2011, 12, 30))
    assert local_date(instant - timedelta(microseconds=1), timezone) < day


@given(st.lists(st.tuples(instants, instants).map(sorted).map(lambda pair: Period(*pair)), max_size=6), instants)
def test_subtracting_keeps_exactly_what_nothing_covers(periods: list[Period], instant: datetime) -> None:
    whole = Period(datetime(2010, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    pieces = whole.subtract(periods)
    expected = whole.contains(instant) and not any(period.contains(instant) for period in periods)
    assert any(piece.contains(instant) for piece in pieces) == expected
    assert all(not piece.is_empty for piece in pieces)
    assert all(a.end is not None and a.end < b.start for a, b in pairwise(pieces))
