"""What holds for every plan: its file reads back as the same plan, and differs from itself in nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.errors import PlanFileError
from billing.catalog.plan_diff import differences
from billing.catalog.plan_values import (
    KINDS,
    PRORATIONS,
    TREATMENTS,
    WINDOWS,
    ChargeFile,
    PlanFile,
    read_plan,
    to_json,
)
from tests.billing.pricing.strategies import all_prices as prices

codes = st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True)
letters = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
names = st.lists(letters, min_size=1, max_size=3).map(" ".join)
words = names | st.just("")


@st.composite
def charges(draw: st.DrawFn) -> ChargeFile:
    kind = draw(st.sampled_from(KINDS))
    metered = kind == "usage"
    found = draw(st.lists(prices, max_size=3, unique_by=lambda price: price.currency))
    return ChargeFile(
        code=draw(codes), name=draw(names), kind=kind, position=draw(st.integers(0, 32767)),
        pay="in_arrears" if metered else draw(st.sampled_from(["in_advance", "in_arrears"])),
        prices=tuple(sorted(found, key=lambda price: price.currency)),
        meter=draw(codes) if metered else "", meter_version=draw(st.none() | st.integers(1, 9)) if metered else None,
        unit=draw(words), cadence=draw(st.sampled_from(["", "P1M", "P1Y", "P2W"])),
        proration=draw(st.sampled_from(["", *PRORATIONS])), invoice_group=draw(words), tax_code=draw(words),
        window=draw(st.sampled_from(["", *WINDOWS])) if metered else "",
        revenue_treatment=draw(st.sampled_from(["", *TREATMENTS])),
    )  # fmt: skip


rows = st.lists(charges(), max_size=4, unique_by=lambda charge: charge.code)
plans = st.builds(
    PlanFile, codes, names, codes, names,
    rows.map(lambda found: tuple(sorted(found, key=lambda charge: charge.position))), words,
)  # fmt: skip


@given(plans)
def test_a_plan_survives_its_file(plan: PlanFile) -> None:
    file = to_json(plan)
    again = read_plan(json.loads(json.dumps(file)))
    assert again == plan
    assert to_json(again) == file


@given(plans)
def test_a_plan_differs_from_itself_in_nothing_and_from_nothing_in_each_charge(plan: PlanFile) -> None:
    assert differences(plan, plan) == []
    assert [change.kind for change in differences(None, plan)] == ["added"] * len(plan.charges)
    assert [change.kind for change in differences(plan, replace(plan, charges=()))] == ["removed"] * len(plan.charges)


@given(plans, plans)
def test_plans_that_differ_in_what_they_charge_are_told_apart(one: PlanFile, other: PlanFile) -> None:
    def told(plan: PlanFile) -> list[ChargeFile]:
        return [replace(charge, position=0) for charge in plan.charges]  # only their order prints

    assert bool(differences(one, other)) == (told(one) != told(other))


def paths_to_objects(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if isinstance(value, dict) else []
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [each for key, inner in steps for each in paths_to_objects(inner, (*path, key))]


def changed(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], change)
    return copy


@given(plans, st.data())
def test_an_unknown_key_anywhere_is_refused_with_the_path_to_it(plan: PlanFile, data: st.DataObject) -> None:
    file = to_json(plan)
    path = data.draw(st.sampled_from(paths_to_objects(file)))
    with pytest.raises(PlanFileError) as caught:
        read_plan(changed(file, path, lambda obj: obj | {"surplus": "1"}))
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    assert [problem.path for problem in caught.value.problems] == [f"plan_file{where}.surplus"]
