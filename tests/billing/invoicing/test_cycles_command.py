"""`manage.py cycles`: each sentence of its format, by cases."""

import io
import json
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from billing.invoicing.cycle_cases import cycles_case

DOCS = Path(__file__).resolve().parents[3] / "docs"
MONTHLY = {"cadence": "P1M", "start": "2026-01-01", "amount": "310"}


def periods(through: str, **terms: Any) -> list[dict[str, Any]]:
    """The periods of terms; an error fails the test with its sentence."""
    answer = cycles_case({"id": 1, "terms": terms, "through": through})
    assert "error" not in answer, answer
    found: list[dict[str, Any]] = answer["periods"]
    return found


def brief(through: str, **terms: Any) -> list[tuple[str, str, str, str, str]]:
    """Start, end, fraction, day of the invoice and amount of each period."""
    keys = ("start", "end", "fraction", "invoice_on", "amount")
    return [tuple(each[key] for key in keys) for each in periods(through, **terms)]  # type: ignore[misc]


def wrong(**case: Any) -> tuple[str, str]:
    """Code and path of a case's error."""
    error = cycles_case({"id": 1, **case})["error"]
    assert error["message"]
    return error["code"], error["path"]


def prorated(**keys: Any) -> tuple[str, str, str, str]:
    """Fraction, credit, charge and net of a change."""
    case = {"period": ["2026-01-01", "2026-02-01"], "at": "2026-01-17", "old_amount": "100", "new_amount": "200"}
    answer = cycles_case({"id": 1, "prorate": case | keys})
    return answer["fraction"], answer["credit"], answer["charge"], answer["net"]


def test_the_cases_on_the_formats_page_are_answered_as_it_says() -> None:
    section = (DOCS / "formats.md").read_text().split("## `python manage.py cycles FILE`")[1]
    cases, answers = re.findall(r"^```json\n(.*?)^```", section, re.M | re.S)[:2]
    assert [cycles_case(case) for case in json.loads(cases)] == json.loads(answers)


def test_the_command_reads_standard_input_and_ends_with_1_for_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"id": "a", "terms": MONTHLY, "through": "2026-01-01"}
    for cases, status in (([good], 0), ([good, {"id": "b"}], 1)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(cases).encode())))
        out, ended = io.StringIO(), 0
        try:
            call_command("cycles", "-", stdout=out)
        except SystemExit as end:
            ended = int(end.code or 0)
        answers = json.loads(out.getvalue())
        assert [answer["id"] for answer in answers] == [case["id"] for case in cases]
        assert ("error" in answers[-1], ended) == (status == 1, status)


def test_quarterly_from_24_february_with_anchor_day_10_first_ends_on_10_may() -> None:
    first, second = periods("2026-05-31", cadence="P3M", start="2026-02-24", anchor_day=10, amount="89")
    assert (first["start"], first["end"], first["full_start"], first["full_end"]) == (
        "2026-02-24", "2026-05-10", "2026-02-10", "2026-05-10",
    )  # fmt: skip
    assert (first["fraction"], first["amount"]) == ("75/89", "75.00")
    assert (second["start"], second["end"], second["fraction"]) == ("2026-05-10", "2026-08-10", "1")


def test_a_stub_may_be_divided_by_a_period_that_starts_with_it() -> None:
    terms = {"cadence": "P1M", "start": "2026-02-10", "anchor_day": 1, "amount": "280"}
    assert periods("2026-02-10", **terms)[0]["fraction"] == "19/28"
    first, second = periods("2026-03-01", **terms, stub_divisor="from_start")
    assert (first["full_start"], first["full_end"], first["fraction"]) == ("2026-02-10", "2026-03-10", "19/28")
    assert second["fraction"] == "1"
    longer = {"cadence": "P3M", "start": "2026-02-24", "anchor_day": 1, "stub_divisor": "from_start"}
    assert periods("2026-02-24", **longer)[0]["full_end"] == "2026-05-24"


def test_only_the_first_stub_is_divided_so() -> None:
    terms = {
        "cadence": "P1M",
        "start": "2026-01-20",
        "anchor_day": 1,
        "end": "2026-03-10",
        "stub_divisor": "from_start",
    }
    last = periods("2026-12-31", **terms)[-1]
    assert (last["full_start"], last["full_end"], last["fraction"]) == ("2026-03-01", "2026-04-01", "9/31")


def test_anchor_day_31_clamps_and_comes_back() -> None:
    starts = [each["start"] for each in periods("2028-05-31", cadence="P1M", start="2028-01-31")]
    assert starts == ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]


def test_a_year_from_29_february_clamps_to_28_and_comes_back() -> None:
    starts = [each["start"] for each in periods("2028-12-31", cadence="P1Y", start="2024-02-29")]
    assert starts == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_an_anchor_month_begins_a_fiscal_year() -> None:
    first, second = periods("2026-12-31", cadence="P1Y", start="2026-02-24", anchor_day=1, anchor_month=4)
    assert (first["full_start"], first["end"], first["fraction"]) == ("2025-04-01", "2026-04-01", "36/365")
    assert second["end"] == "2027-04-01"


def test_weeks_begin_on_the_anchor_day_of_the_starts_week() -> None:
    first, second = periods("2026-01-12", cadence="P2W", start="2026-01-01", anchor_day=1)  # a Thursday
    assert (first["full_start"], first["end"], first["fraction"]) == ("2025-12-29", "2026-01-12", "11/14")
    assert second["end"] == "2026-01-26"
    sunday = periods("2026-01-01", cadence="P1W", start="2026-01-01", anchor_day=7)[0]
    assert (sunday["end"], sunday["fraction"]) == ("2026-01-04", "3/7")


def test_days_count_from_the_start() -> None:
    assert [each["start"] for each in periods("2026-01-25", cadence="P10D", start="2026-01-05")] == [
        "2026-01-05", "2026-01-15", "2026-01-25",
    ]  # fmt: skip


def test_in_arrears_is_invoiced_at_the_end_of_the_period_or_of_the_contract() -> None:
    assert brief("2026-12-31", **MONTHLY, end="2026-02-15", pay="in_arrears") == [
        ("2026-01-01", "2026-02-01", "1", "2026-02-01", "310.00"),
        ("2026-02-01", "2026-02-15", "1/2", "2026-02-15", "155.00"),
    ]
    assert brief("2026-01-31", **MONTHLY, pay="in_arrears") == []


def test_nothing_is_invoiced_of_an_empty_term_or_before_the_start() -> None:
    assert periods("2026-12-31", **MONTHLY, end="2026-01-01") == []
    assert periods("2025-12-31", **MONTHLY) == []


def test_days_in_trial_give_no_entry() -> None:
    assert brief("2026-02-01", **MONTHLY, trial_end="2026-01-11") == [
        ("2026-01-11", "2026-02-01", "21/31", "2026-01-11", "210.00"),
        ("2026-02-01", "2026-03-01", "1", "2026-02-01", "310.00"),
    ]
    assert brief("2026-02-01", **MONTHLY, trial_end="2026-02-01")[0][:3] == ("2026-02-01", "2026-03-01", "1")
    assert brief("2026-02-01", **MONTHLY, trial_end="2026-01-11", pay="in_arrears") == [
        ("2026-01-11", "2026-02-01", "21/31", "2026-02-01", "210.00")
    ]
    assert periods("2026-12-31", **MONTHLY, trial_end="2026-03-01", end="2026-02-10") == []


def test_a_change_in_advance_gives_a_credit_and_a_charge_on_its_day() -> None:
    first, credit, charge = periods("2026-01-31", **MONTHLY, changes=[{"at": "2026-01-17", "amount": "620"}])
    assert (first["amount"], first["end"]) == ("310.00", "2026-02-01")
    assert (credit["amount"], credit["fraction"], credit["credit_for"]) == ("-150.00", "15/31", 0)
    assert (charge["amount"], charge["fraction"], charge["invoice_on"]) == ("300.00", "15/31", "2026-01-17")
    assert "credit_for" not in first
    assert "credit_for" not in charge


def test_each_credit_names_the_charge_it_corrects() -> None:
    changes = [{"at": "2026-01-21", "amount": "930"}, {"at": "2026-01-11", "amount": "620"}]  # in any order
    found = periods("2026-01-31", **MONTHLY, changes=changes)
    assert [(each["amount"], each.get("credit_for")) for each in found] == [
        ("310.00", None), ("-210.00", 0), ("420.00", None), ("-220.00", 2), ("330.00", None),
    ]  # fmt: skip
    assert found[3]["fraction"] == "11/31"


def test_a_change_on_a_boundary_credits_nothing() -> None:
    assert [each[4] for each in brief("2026-02-01", **MONTHLY, changes=[{"at": "2026-02-01", "amount": "9"}])] == [
        "310.00", "9.00",
    ]  # fmt: skip


def test_a_change_in_arrears_gives_an_entry_for_each_part_at_the_end() -> None:
    assert brief("2026-02-01", **MONTHLY, pay="in_arrears", changes=[{"at": "2026-01-17", "amount": "620"}]) == [
        ("2026-01-01", "2026-01-17", "16/31", "2026-02-01", "160.00"),
        ("2026-01-17", "2026-02-01", "15/31", "2026-02-01", "300.00"),
    ]


def test_a_restart_ends_the_cycle_and_starts_one_at_the_full_new_amount() -> None:
    restart = [{"at": "2026-01-17", "amount": "620", "restart": True}]
    assert brief("2026-02-17", **MONTHLY, changes=restart)[1:] == [
        ("2026-01-17", "2026-02-01", "15/31", "2026-01-17", "-150.00"),
        ("2026-01-17", "2026-02-17", "1", "2026-01-17", "620.00"),
        ("2026-02-17", "2026-03-17", "1", "2026-02-17", "620.00"),
    ]
    assert brief("2026-02-17", **MONTHLY, pay="in_arrears", changes=restart) == [
        ("2026-01-01", "2026-01-17", "16/31", "2026-01-17", "160.00"),
        ("2026-01-17", "2026-02-17", "1", "2026-02-17", "620.00"),
    ]


@pytest.mark.parametrize("proration", ["day", "second", "month30"])
def test_a_restart_at_an_hour_is_charged_in_full_too(proration: str) -> None:
    restart = [{"at": "2026-01-17T09:30:00Z", "amount": "310", "restart": True}]
    charge = periods("2026-01-17", **MONTHLY, proration=proration, changes=restart)[-1]
    assert (charge["start"], charge["end"]) == ("2026-01-17T09:30:00Z", "2026-02-17")
    assert (charge["fraction"], charge["amount"]) == ("1", "310.00")


def test_another_cadence_restarts_the_cycle() -> None:
    yearly = [{"at": "2026-01-17", "amount": "3650", "cadence": "P1Y"}]
    assert brief("2027-01-16", **MONTHLY, changes=yearly)[1:] == [
        ("2026-01-17", "2026-02-01", "15/31", "2026-01-17", "-150.00"),
        ("2026-01-17", "2027-01-17", "1", "2026-01-17", "3650.00"),
    ]


def test_without_credit_the_charge_stands_beside_what_was_billed() -> None:
    changes = [{"at": "2026-01-17", "amount": "620", "credit": "none"}, {"at": "2026-01-27", "amount": "310"}]
    assert [(each[2], each[4]) for each in brief("2026-01-31", **MONTHLY, changes=changes)] == [
        ("1", "310.00"), ("15/31", "300.00"), ("5/31", "-100.00"), ("5/31", "50.00"),
    ]  # fmt: skip


def test_a_change_keeps_the_discounts_that_it_does_not_name() -> None:
    terms = MONTHLY | {"discounts": [{"percentage": "50"}]}
    kept, without = (
        brief("2026-02-01", **terms, changes=[{"at": "2026-02-01", "amount": "100"} | more])[1][4]
        for more in ({}, {"discounts": []})
    )
    assert (kept, without) == ("50.00", "100.00")
    assert brief("2026-01-01", **terms | {"discounts": [{"percentage": "10"}, {"amount": "9"}]})[0][4] == "270.00"


def test_without_proration_a_stub_is_full_and_a_change_waits() -> None:
    terms = MONTHLY | {"start": "2026-01-20", "anchor_day": 1, "proration": "none"}
    assert brief("2026-03-01", **terms, changes=[{"at": "2026-02-10", "amount": "620"}]) == [
        ("2026-01-20", "2026-02-01", "1", "2026-01-20", "310.00"),
        ("2026-02-01", "2026-03-01", "1", "2026-02-01", "310.00"),
        ("2026-03-01", "2026-04-01", "1", "2026-03-01", "620.00"),
    ]


def test_months_of_thirty_days() -> None:
    terms = {"cadence": "P1M", "start": "2026-01-16", "anchor_day": 1, "proration": "month30", "amount": "30"}
    assert [each[2] for each in brief("2026-02-01", **terms)] == ["1/2", "1"]
    end = brief("2026-02-28", cadence="P1M", start="2026-01-31", end="2026-03-16", proration="month30", amount="30")[-1]
    assert end[2] == "8/15"  # from the 30th, as which the clamped boundary counts, to the 16th
    stub = {"cadence": "P1M", "start": "2026-02-10", "anchor_day": 31, "proration": "month30"}
    assert brief("2026-02-10", **stub, stub_divisor="from_start")[0][2] == "2/3"


def test_seconds_see_the_change_of_clocks() -> None:
    berlin = {"cadence": "P1M", "start": "2026-03-01", "timezone": "Europe/Berlin", "proration": "second"}
    found = periods("2026-03-31", **berlin, amount="743", changes=[{"at": "2026-03-30", "amount": "0"}])
    assert (found[1]["fraction"], found[1]["amount"]) == ("48/743", "-48.00")
    autumn = {"cadence": "P1D", "start": "2026-10-25", "timezone": "Europe/Berlin", "proration": "second"}
    first = periods("2026-10-25", **autumn, end="2026-10-25T12:00:00+01:00")[0]
    assert (first["end"], first["fraction"]) == ("2026-10-25T11:00:00Z", "13/25")


def test_the_periods_are_known_without_an_amount() -> None:
    assert [each["amount"] for each in periods("2026-02-01", cadence="P1M", start="2026-01-01")] == [None, None]


@pytest.mark.parametrize("proration", ["day", "second", "month30"])
@pytest.mark.parametrize("pay", ["in_advance", "in_arrears"])
def test_charges_less_credits_cover_the_term_once(proration: str, pay: str) -> None:
    changes = [
        {"at": "2026-02-10", "amount": "20"}, {"at": "2026-03-31", "amount": "30", "restart": True},
        {"at": "2026-05-05", "amount": "40", "cadence": "P2W"}, {"at": "2026-06-01", "amount": "50"},
    ]  # fmt: skip
    terms = {"cadence": "P3M", "start": "2026-01-20", "anchor_day": 31, "end": "2026-07-19", "amount": "10"}
    found = periods("2026-12-31", **terms, proration=proration, pay=pay, changes=changes, trial_end="2026-01-25")
    days: dict[int, int] = {}
    for each in found:
        sign = -1 if "credit_for" in each else 1
        assert (Decimal(each["amount"]) < 0) is (sign < 0)
        assert Fraction(each["fraction"]) > 0
        for day in range(date.fromisoformat(each["start"]).toordinal(), date.fromisoformat(each["end"]).toordinal()):
            days[day] = days.get(day, 0) + sign
    assert days == dict.fromkeys(range(date(2026, 1, 25).toordinal(), date(2026, 7, 19).toordinal()), 1)
    assert [each["invoice_on"] for each in found] == sorted(each["invoice_on"] for each in found)


def test_a_change_is_prorated() -> None:
    assert prorated() == ("15/31", "-48.39", "96.77", "48.38")
    assert prorated(at="2026-01-17T09:30:00Z")[0] == "15/31"
    assert prorated(at="2026-01-16T12:00:00Z", proration="second")[0] == "1/2"
    assert prorated(proration="month30")[0] == "7/15"
    assert prorated(proration="none") == ("0", "0.00", "0.00", "0.00")
    assert prorated(currency="JPY") == ("15/31", "-48", "97", "49")


def test_a_moment_outside_the_period_counts_as_the_nearer_bound() -> None:
    assert prorated(at="2025-12-01") == ("1", "-100.00", "200.00", "100.00")
    assert prorated(at="2026-03-01") == ("0", "0.00", "0.00", "0.00")
    assert prorated(at="2025-12-01", proration="none") == ("1", "-100.00", "200.00", "100.00")


def test_discounts_are_taken_before_the_ratio() -> None:
    half = [{"percentage": "50"}]
    assert prorated(old_discounts=half, new_discounts=[{"amount": "14"}]) == ("15/31", "-24.19", "90.00", "65.81")


def test_a_credit_is_at_most_what_was_paid_and_not_credited() -> None:
    assert prorated(paid="30")[1] == "-30.00"
    assert prorated(paid="100", credited="60")[1] == "-40.00"
    assert prorated(paid="10", credited="60") == ("15/31", "0.00", "96.77", "96.77")
    assert prorated(paid="100")[1] == "-48.39"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"end": "2025-12-31"}, ("invalid_period", "terms.end")),
        ({"cadence": "P0M"}, ("invalid_cadence", "terms.cadence")),
        ({"cadence": None}, ("invalid_cadence", "terms.cadence")),
        ({"start": "2026-02-30"}, ("invalid_time", "terms.start")),
        ({"start": "2026-01-01T10:00:00"}, ("invalid_time", "terms.start")),
        ({"start": 20260101}, ("invalid_time", "terms.start")),
        ({"anchor_day": 32}, ("invalid_anchor", "terms.anchor_day")),
        ({"anchor_day": 1.0}, ("invalid_number", "terms.anchor_day")),
        ({"cadence": "P1W", "anchor_day": 8}, ("invalid_anchor", "terms.anchor_day")),
        ({"cadence": "P1D", "anchor_day": 1}, ("invalid_anchor", "terms.anchor_day")),
        ({"anchor_month": 4}, ("invalid_anchor", "terms.anchor_month")),
        ({"timezone": "Mars"}, ("unknown_timezone", "terms.timezone")),
        ({"currency": "XXZ"}, ("unknown_currency", "terms.currency")),
        ({"pay": "later"}, ("invalid_choice", "terms.pay")),
        ({"amount": 1.5}, ("invalid_number", "terms.amount")),
        ({"discounts": [{"percentage": 0.5}]}, ("invalid_number", "terms.discounts[0].percentage")),
        ({"trial_end": "2025-12-31"}, ("invalid_period", "terms.trial_end")),
        ({"color": "red"}, ("unknown_key", "terms.color")),
        ({"changes": [{"amount": "1"}]}, ("missing_key", "terms.changes[0].at")),
        ({"changes": [{"at": "2026-02-01"}]}, ("missing_key", "terms.changes[0].amount")),
        ({"changes": [{"at": "2025-02-01", "amount": "1"}]}, ("invalid_period", "terms.changes[0].at")),
        ({"changes": [{"at": "2026-02-01", "amount": "1", "when": 1}]}, ("unknown_key", "terms.changes[0].when")),
    ],
)
def test_what_is_wrong_with_terms_is_said_with_its_path(change: dict[str, Any], problem: tuple[str, str]) -> None:
    assert wrong(terms=MONTHLY | change, through="2026-12-31") == problem


def test_what_is_wrong_with_a_case_is_said_with_its_path() -> None:
    assert wrong(terms=MONTHLY) == ("missing_key", "through")
    assert wrong(terms=MONTHLY, through="2026-13-01") == ("invalid_time", "through")
    assert wrong(terms=MONTHLY | {"cadence": "P1D"}, through="9000-01-01") == ("out_of_range", "through")
    assert wrong(terms=MONTHLY, through="2026-12-31", prorate={}) == ("unknown_key", "terms")
    assert wrong(prorate=[]) == ("not_an_object", "prorate")
    assert cycles_case("x")["error"]["code"] == "not_an_object"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"period": ["2026-01-01", "2026-01-01"]}, ("invalid_period", "prorate.period")),
        ({"period": ["2026-02-01", "2026-01-01"]}, ("invalid_period", "prorate.period")),
        ({"period": ["2026-01-01"]}, ("invalid_period", "prorate.period")),
        ({"period": ["2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z"]}, ("invalid_period", "prorate.period")),
        ({"old_amount": 1.5}, ("invalid_number", "prorate.old_amount")),
        ({"new_discounts": [{"amount": 0.5}]}, ("invalid_number", "prorate.new_discounts[0].amount")),
        ({"proration": "week"}, ("invalid_choice", "prorate.proration")),
        ({"trial": 1}, ("unknown_key", "prorate.trial")),
    ],
)
def test_what_is_wrong_with_a_proration_is_said_with_its_path(change: dict[str, Any], problem: tuple[str, str]) -> None:
    case = {"period": ["2026-01-01", "2026-02-01"], "at": "2026-01-17", "old_amount": "100", "new_amount": "200"}
    assert wrong(prorate=case | change) == problem
