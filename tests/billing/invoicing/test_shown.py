"""Steps that are shown: all of a few, the largest of many, and always the same sum."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing.formatting import Format
from billing.invoicing.shown import LARGEST, MOST, shown_steps

AMOUNTS = st.decimals(-1000, 1000, places=3)


def step(amount: Decimal, label: str = "a cell") -> dict[str, Any]:
    return {"label": label, "quantity": None, "unit_amount": None, "flat_amount": None, "amount": str(amount)}


@given(st.lists(AMOUNTS, max_size=80))
def test_it_works(amounts: list[Decimal]) -> None:
    shown = shown_steps([step(amount) for amount in amounts])
    assert sum(Decimal(each["amount"]) for each in shown) == sum(amounts)
    assert len(shown) == (len(amounts) if len(amounts) <= MOST else LARGEST + 1)


def test_a_thousand_cells_show_the_largest_in_their_order() -> None:
    steps = [step(Decimal(place % 100), f"cell {place}") for place in range(1000)]
    shown = shown_steps(steps)
    assert shown[-1]["label"] == "980 more"
    assert [each["label"] for each in shown[:2]] == ["cell 98", "cell 99"]
    assert {Decimal(each["amount"]) for each in shown[:-1]} == {Decimal(98), Decimal(99)}


def test_days_are_printed_in_the_customers_locale_and_names_as_they_are() -> None:
    write = Format(locale="de-DE", currency="EUR")
    assert write.label("2023-11-05: 1,200.5 tokens") == "5. Nov. 2023: 1.200,5 tokens"
    assert write.label("2023-11-05 13:00: 3 gpus") == "5. Nov. 2023 13:00: 3 gpus"
    assert write.label("large-20240229: 1,200.5 tokens") == "large-20240229: 1.200,5 tokens"
