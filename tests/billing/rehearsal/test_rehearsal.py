"""What will be invoiced: the same as what then is, when usage comes as assumed."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.catalog.services import change_subscription
from billing.invoicing.models import BillingRun, Invoice, InvoiceLine, Slot, Stream
from billing.invoicing.services import run_billing
from billing.periods import Period
from billing.rehearsal.assumed import Assumption
from billing.rehearsal.periods import reference
from billing.rehearsal.services import rehearse
from config import clock
from customers.models import Contract
from tests.factories import fee, make_contract, make_meter, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
NOW = datetime(2024, 1, 16, tzinfo=UTC)
LATER = datetime(2024, 3, 1, tzinfo=UTC)
TIERS = {"model": "graduated", "tiers": [
    {"up_to": "100", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.03"}]}  # fmt: skip


@pytest.fixture
def contract() -> Contract:
    """A fee of 100 a month in advance and tiers; 120 tokens in December, 60 of them before the 16th; 10 in January."""
    contract = make_contract()
    make_subscription(contract, make_version(fee(amount="100"), usage(**TIERS)))
    for day, tokens in (("2023-12-10", 60), ("2023-12-20", 60), ("2024-01-05", 10)):
        send_events(subject=contract.customer.external_id, data={"tokens": tokens}, time=f"{day}T00:00:00Z", now=LATER)
    return contract


def foreseen(contract: Contract, to: date = date(2024, 3, 1), **more: Any) -> list[tuple[date, Decimal]]:
    found = rehearse(contract_ids=[contract.pk], to=to, assumption=Assumption(NOW, **more))
    return [(each.day, each.total) for each in found]


def counts() -> list[int]:
    return [model.objects.count() for model in (BillingRun, Invoice, InvoiceLine, Slot, Stream)]  # type: ignore[attr-defined]


def test_it_works(contract: Contract) -> None:
    """What is open, then January: 10 used and 60 as from the 16th of December on; then February, 120 as in December."""
    before = counts()
    assert foreseen(contract) == [
        (date(2024, 1, 16), Decimal("310.60")),  # fees of November, December, January; December's usage
        (date(2024, 2, 1), Decimal("107.00")),  # 70 at 0.10
        (date(2024, 3, 1), Decimal("110.60")),  # 100 at 0.10, 20 at 0.03
    ]
    assert counts() == before


@pytest.mark.parametrize(("more", "january", "february"), [
    ({"basis": "none"}, "101.00", "100.00"),
    ({"basis": "average"}, "103.00", "104.00"),  # a third of 60, and of 120: October and November had none
])  # fmt: skip
def test_usage_can_be_assumed_in_other_ways(contract: Contract, more: Any, january: str, february: str) -> None:
    assert [total for _, total in foreseen(contract, **more)][1:] == [Decimal(january), Decimal(february)]


def test_a_change_that_is_agreed_for_later_is_in_it(contract: Contract) -> None:
    (subscription,) = contract.subscriptions.all()
    version = make_version(fee(amount="160"), usage(**TIERS))
    change_subscription(subscription=subscription, at=date(2024, 2, 1), version=version, now=NOW)
    assert [total for _, total in foreseen(contract, basis="none")][1:] == [Decimal("161.00"), Decimal("160.00")]


def test_what_is_foreseen_is_what_then_is_billed(contract: Contract) -> None:
    """The usage that was assumed does come, and the run bills it."""
    told = {each.day: each.lines for each in rehearse(
        contract_ids=[contract.pk], to=date(2024, 2, 1), assumption=Assumption(NOW))}  # fmt: skip
    send_events(subject=contract.customer.external_id, data={"tokens": 60}, time="2024-01-20T00:00:00Z", now=LATER)
    run_billing(as_of=date(2024, 2, 1), now=datetime(2024, 2, 1, tzinfo=UTC))
    lines = InvoiceLine.objects.all()
    expected = sorted((line.description, line.service_start, line.amount) for line in lines)
    assert sorted((line.description, line.start, line.amount) for group in told.values() for line in group) == expected


def test_the_largest_value_of_a_month_is_that_of_the_last_or_a_larger_one_that_came() -> None:
    contract = make_contract()
    peaks = make_meter("peaks", aggregation="max")
    make_subscription(contract, make_version(usage("peaks", peaks, model="per_unit", unit_amount="1")))
    for day, tokens in (("2023-12-20", 30), ("2024-01-05", 50)):
        send_events(subject=contract.customer.external_id, data={"tokens": tokens}, time=f"{day}T00:00:00Z", now=LATER)
    assert [total for _, total in foreseen(contract)] == [Decimal(30), Decimal(50), Decimal(30)]


def test_a_file_says_what_a_cycle_uses(contract: Contract, tmp_path: Path) -> None:
    """As CSV; the rest of a running cycle takes its share by time."""
    file = tmp_path / "usage.csv"
    file.write_text(f"customer,meter,quantity\n{contract.customer.external_id},tokens,310\n")
    told = command("--to", "2024-03-01", "--usage", str(file), "--json")
    totals = [each["total"] for each in json.loads(told)]
    assert totals[1:] == ["112.1", "116.3"]  # 10 + 310 × 16/31 = 170; 310


@pytest.mark.parametrize(("text", "sentence"), [
    ("who,what\n", "columns: customer,meter,quantity"),
    ("customer,meter,quantity\nnobody,tokens,1\n", "Line 2: there is no customer “nobody”"),
    ("customer,meter,quantity\ncust,bytes,1\n", "Line 2: there is no meter “bytes”"),
    ("customer,meter,quantity\ncust,tokens,much\n", "Line 2: “much” is no quantity"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(contract: Contract, tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "usage.csv"
    file.write_text(text.replace("cust,", f"{contract.customer.external_id},"))
    with pytest.raises(CommandError, match=sentence):
        command("--to", "2024-03-01", "--usage", str(file))


def test_the_whole_book_is_told_by_month(contract: Contract) -> None:
    told = command("--to", "2024-03-01")
    assert "2024-02  USD 107.00  1 document" in told
    assert "nothing was written" in told
    told = command("--to", "2024-02-01", "--contract", contract.number)
    assert "2024-02-01" in told
    assert "70 " in told


def test_a_day_that_is_over_and_a_contract_that_is_not_there_are_refused(contract: Contract) -> None:
    with pytest.raises(CommandError, match="not in the future"):
        command("--to", "2024-01-16")
    with pytest.raises(CommandError, match="There is no contract C-404"):
        command("--to", "2024-02-01", "--contract", "C-404")


def command(*arguments: str) -> str:
    out = StringIO()
    with clock.set_to(NOW):
        call_command("rehearse", *arguments, stdout=out)
    return out.getvalue()


def test_a_past_stretch_stands_for_a_future_one() -> None:
    """By months where cycles are months, by days otherwise; never beyond the cycle's end."""
    utc = [datetime(2024, month, 1, tzinfo=UTC) for month in range(1, 7)]
    now = Period(datetime(2024, 3, 22, tzinfo=UTC), None)
    assert reference(Period(utc[3], utc[4]), Period(utc[3], utc[4]), "UTC", now) == Period(utc[1], utc[2])
    rest = Period(now.start, utc[3])
    assert reference(rest, Period(utc[2], utc[3]), "UTC", now) == Period(datetime(2024, 2, 22, tzinfo=UTC), utc[2])
    late = Period(datetime(2024, 3, 31, tzinfo=UTC), utc[3])
    assert reference(late, Period(utc[2], utc[3]), "UTC", now).is_empty
    assert reference(Period(utc[3], utc[4]), Period(utc[3], utc[4]), "UTC", now, 1) == Period(utc[0], utc[1])
    week = Period(datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 4, 8, tzinfo=UTC))
    assert reference(week, week, "UTC", now) == Period(
        datetime(2024, 3, 11, tzinfo=UTC), datetime(2024, 3, 18, tzinfo=UTC)
    )
