"""When contracts move: on a day, at the renewal, at the next period; in the contract's own zone."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.moves.timing import Term, When, moment
from billing.periods import local_date, local_midnight

NOW = datetime(2024, 2, 10, 12, tzinfo=UTC)


def term(**fields: Any) -> Term:
    given = {"start": date(2023, 5, 31), "end": None, "timezone": "UTC", "cadence": "P1M", "anchor_day": None,
             "proration": "day"}  # fmt: skip
    return Term(**given | fields)


def day(when: When, of: Term, now: datetime = NOW) -> date:
    return local_date(moment(when, of, now).at, of.timezone)


def test_it_works() -> None:
    assert day(When("date", date(2024, 3, 5)), term()) == date(2024, 3, 5)
    assert day(When("renewal"), term()) == date(2024, 5, 31)
    assert day(When("period"), term()) == date(2024, 2, 29)


def test_a_day_begins_at_the_contracts_own_midnight() -> None:
    at = moment(When("date", date(2024, 3, 5)), term(timezone="Asia/Kathmandu"), NOW).at
    assert at == datetime(2024, 3, 4, 18, 15, tzinfo=UTC)


def test_a_contract_with_an_end_renews_there_and_says_that_it_must_go_on() -> None:
    found = moment(When("renewal"), term(end=date(2026, 5, 31)), NOW)
    assert local_date(found.at, "UTC") == date(2026, 5, 31)
    assert "if the contract goes on" in found.note


def test_the_anniversary_of_29_february_is_the_28th_in_other_years() -> None:
    born = term(start=date(2024, 2, 29))
    assert day(When("renewal"), born, datetime(2024, 3, 1, tzinfo=UTC)) == date(2025, 2, 28)
    assert day(When("renewal"), born, datetime(2027, 3, 1, tzinfo=UTC)) == date(2028, 2, 29)


def test_a_boundary_that_is_now_is_the_next_one() -> None:
    now = datetime(2024, 5, 31, tzinfo=UTC)
    assert day(When("renewal"), term(), now) == date(2024, 5, 31)
    assert day(When("period"), term(), now) == date(2024, 5, 31)


def test_nobody_moves_before_the_day_that_is_given() -> None:
    assert day(When("period", date(2024, 6, 1)), term()) == date(2024, 6, 30)
    assert day(When("renewal", date(2024, 6, 1)), term()) == date(2025, 5, 31)


@pytest.mark.parametrize("kind", ["renewal", "period"])
def test_a_contract_that_has_not_begun_moves_when_it_begins(kind: Any) -> None:
    assert day(When(kind), term(start=date(2024, 7, 1))) == date(2024, 7, 1)


def test_without_proration_a_day_within_a_period_waits_for_the_next() -> None:
    found = moment(When("date", date(2024, 3, 5)), term(proration="none"), NOW)
    assert local_date(found.at, "UTC") == date(2024, 3, 31)
    assert "does not prorate: it moves on 2024-03-31" in found.note
    assert moment(When("date", date(2024, 3, 31)), term(proration="none"), NOW).note == ""


def test_without_proration_an_anniversary_within_a_period_waits_too() -> None:
    assert day(When("renewal"), term(start=date(2023, 5, 20), anchor_day=1, proration="none")) == date(2024, 6, 1)


def test_a_move_on_a_day_needs_the_day() -> None:
    with pytest.raises(ValueError, match="needs the day"):
        When("date")


@given(
    start=st.dates(date(2020, 1, 1), date(2024, 1, 1)),
    now=st.dates(date(2019, 1, 1), date(2027, 1, 1)),
    cadence=st.sampled_from(["P1M", "P3M", "P1Y", "P2W", "P10D"]),
    timezone=st.sampled_from(["UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Europe/Berlin"]),
    kind=st.sampled_from(["renewal", "period"]),
)
def test_the_next_boundary_is_one_and_there_is_none_before_it(
    start: date, now: date, cadence: str, timezone: str, kind: Any
) -> None:
    contract = term(start=start, cadence=cadence, timezone=timezone)
    instant = local_midnight(now, timezone)
    at = moment(When(kind), contract, instant).at
    calendar = contract.years if kind == "renewal" else contract.cycles
    assert at >= instant
    assert calendar.cycle_at(at).period.start == at
    if at > contract.begins and at > instant:
        assert calendar.cycle_at(max(instant, contract.begins)).period.end == at
