"""What differs between two invoices, how unusual it is, and what a policy says of it."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.invoicing.review.rules import (
    Finding,
    Item,
    Limits,
    change_of,
    judge,
    jumps,
    level_of,
    reasons,
    score,
    silent_days,
)

FEE, USAGE = (1, "recurring"), (2, "usage")


def usage(quantity: str, amount: str = "10", **more: object) -> Item:
    return Item(USAGE, "API calls", Decimal(amount), Decimal(quantity), metered=True, version=1, **more)  # type: ignore[arg-type]


def fee(amount: str = "50", quantity: str = "1", version: int = 1, price: str = "50", name: str = "Team 1") -> Item:
    return Item(FEE, "seats", Decimal(amount), Decimal(quantity), version=version, version_name=name, price=price)


def texts(now: list[Item], before: list[Item]) -> list[tuple[str, str]]:
    return [(each.text, str(each.amount)) for each in reasons(now, before)]


def test_it_works() -> None:
    assert texts([usage("300", "30"), fee()], [usage("100"), fee()]) == [
        ("More usage of API calls: 300 instead of 100", "20")
    ]


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (fee("100", "2"), fee(), "More seats: 2 instead of 1"),
        (fee("50", "1"), fee("100", "2"), "Fewer seats: 1 instead of 2"),
        (fee("80", version=2, name="Team 2"), fee(), "New plan or version for seats: Team 2"),
        (fee("60", price="60"), fee(), "Price of seats changed"),
        (fee("25"), fee(), "seats comes to a different amount"),
        (replace(fee("25"), days=15), replace(fee(), days=30), "seats for 15 days instead of 30"),
        (usage("50", "5"), usage("100"), "Less usage of API calls: 50 instead of 100"),
    ],
)
def test_a_difference_is_told_in_words(now: Item, before: Item, text: str) -> None:
    assert [each for each, _ in texts([now], [before])] == [text]


def test_the_differences_add_up_to_that_of_the_totals_and_the_largest_comes_first() -> None:
    now, before = [fee("90", "2"), usage("10", "1"), usage("5", "7", corrects=True)], [fee(), usage("100", "40")]
    found = reasons(now, before)
    assert sum(each.amount for each in found) == sum(i.amount for i in now) - sum(i.amount for i in before)
    assert [abs(each.amount) for each in found] == [40, 39, 7]


def test_what_comes_and_goes_is_named() -> None:
    assert texts([fee()], [usage("1")]) == [("seats is new", "50"), ("No API calls any more", "-10")]


@pytest.mark.parametrize(
    ("quantity", "codes"), [("300", ["spike"]), ("299", []), ("33", ["drop"]), ("34", []), ("0", ["missing"])]
)
def test_usage_that_jumps_is_unusual(quantity: str, codes: list[str]) -> None:
    assert [each.code for each in jumps([usage(quantity)], [usage("100")])] == codes


def test_usage_without_a_line_any_more_is_missing() -> None:
    assert [each.text for each in jumps([], [usage("100")])] == ["No usage of API calls, before 100"]


@pytest.mark.parametrize(
    ("silent", "text"),
    [
        ([], None),
        ([4], "No events on 2023-11-04"),
        ([4, 5, 9, 12, 13], "No events on 2023-11-04, 2023-11-05, 2023-11-09 and on 2 other days"),
        (range(1, 17), None),  # most of them: that is a drop
        ([4, -3], None),  # nor did they use it every day before
    ],
)
def test_days_without_events_are_missing_where_there_were_none_before(silent: Any, text: str | None) -> None:
    first = date(2023, 11, 1)
    active = {first + timedelta(number - 1) for number in range(-29, 31) if number not in silent}
    found = silent_days(first, date(2023, 11, 30), active)
    assert (found and found.text) == text


def test_the_score_adds_findings_and_change() -> None:
    found = [Finding("spike", ""), Finding("returned", "")]
    assert (score(found, Decimal("-25.0")), score(found, None), score([], Decimal(1000))) == (60, 55, 40)
    assert [level_of(each) for each in (60, 59, 20, 19)] == ["high", "notable", "notable", "ordinary"]


def test_a_change_needs_something_before() -> None:
    assert change_of(Decimal("110"), Decimal("100")) == Decimal("10.0")
    assert change_of(Decimal("110"), None) is None
    assert change_of(Decimal("110"), Decimal("0")) is None


@pytest.mark.parametrize(
    ("limits", "total", "change", "findings", "why"),
    [
        (Limits(Decimal(100), "USD"), "100", None, [], "USD 100 is at most USD 100; nothing is unusual"),
        (Limits(Decimal(100), "USD"), "100.01", None, [], "is more than"),
        (Limits(Decimal(100), "EUR"), "10", None, [], "it is in USD"),
        (Limits(Decimal(100), "USD"), "-1", None, [], "credit note"),
        (Limits(Decimal(100), "USD", Decimal(10)), "10", None, [], "nothing before"),
        (Limits(Decimal(100), "USD", Decimal(10)), "10", "-10.1", [], "more than 10 %"),
        (Limits(Decimal(100), "USD", Decimal(10)), "10", "-10.0", [], "at most 10 %"),
        (Limits(Decimal(100), "USD"), "10", None, ["First invoice"], "unusual: First invoice"),
        (Limits(Decimal(100), "USD", None, True), "10", None, ["First invoice"], "unusual is allowed"),
    ],
)
def test_a_policy_says_why(limits: Limits, total: str, change: str | None, findings: list[str], why: str) -> None:
    judged = judge(limits, Decimal(total), "USD", Decimal(change) if change else None, findings)
    assert why in judged.why
    assert judged.approves == ("at most" in why or "is allowed" in why)
