"""A price by one to three dimensions: each combination by its own cell."""

from decimal import Decimal
from typing import Any

import pytest

from billing.pricing import Cells, Events, EventUse, PriceError, Rating, needs, parse_price, rate

TOKENS: dict[str, Any] = {
    "model": "matrix",
    "dimensions": ["model", "region"],
    "cells": [
        {"when": {"model": "large", "region": "eu"}, "price": {"model": "per_unit", "unit_amount": "0.02"}},
        {
            "when": {"region": "us", "model": "large"},
            "price": {"model": "graduated", "tiers": [{"up_to": "10", "unit_amount": "1"}, {"up_to": None}]},
        },
    ],
    "default": {"model": "per_unit", "unit_amount": "0.01"},
}
CLOSED = TOKENS | {"default": None}


def cells(*rows: tuple[str | None, str | None, str]) -> Cells:
    return Cells(("model", "region"), tuple(((model, region), Decimal(n)) for model, region, n in rows))


def rated(price: dict[str, Any], *rows: tuple[str | None, str | None, str]) -> Rating:
    return rate(parse_price(price), cells(*rows), "token")


def labels(rating: Rating) -> list[str]:
    return [step.label for step in rating.steps]


def test_it_works() -> None:
    rating = rated(TOKENS, ("small", None, "5"), ("large", "us", "12"), ("large", "eu", "100"))
    assert str(rating.amount) == "12.05"
    assert labels(rating) == [
        "large, eu: 100 tokens at USD 0.02",
        "large, us: First 10 tokens at USD 1.00",
        "large, us: Above 10 tokens at no charge",
        "small, no region: 5 tokens at USD 0.01",
    ]


def test_the_dimensions_of_usage_may_stand_in_another_order() -> None:
    usage = Cells(("region", "model"), ((("us", "large"), Decimal(1)),))
    assert str(rate(parse_price(CLOSED), usage).amount) == "1.00"


def test_a_combination_without_a_price_is_refused_by_name_once_it_is_used() -> None:
    assert str(rated(CLOSED, ("small", "eu", "0"), ("large", "eu", "50")).amount) == "1.00"
    with pytest.raises(PriceError) as caught:
        rated(CLOSED, ("large", "eu", "1"), ("small", "eu", "1"))
    assert (caught.value.code, caught.value.path) == ("no_cell", "usage.cells[1]")
    assert caught.value.message == "small, eu has no price by model, region; add a cell for it, or a default."


def test_quantities_of_one_combination_are_never_added_unasked() -> None:
    with pytest.raises(PriceError) as caught:
        rated(TOKENS, ("large", "eu", "1"), ("large", "eu", "1"))
    assert (caught.value.code, caught.value.path) == ("duplicate_cell", "usage.cells[1]")


@pytest.mark.parametrize(
    ("usage", "code"),
    [
        (Decimal(5), "cells_needed"),
        (Cells(("model",), ((("large",), Decimal(1)),)), "cells_needed"),
        (Cells(("model", "region", "day"), ((("large", "eu", "1"), Decimal(1)),)), "unknown_dimension"),
    ],
)
def test_usage_must_tell_the_dimensions_of_the_price_and_no_more(usage: Any, code: str) -> None:
    with pytest.raises(PriceError) as caught:
        rate(parse_price(TOKENS), usage)
    assert caught.value.code == code


def test_cells_are_no_usage_of_a_price_without_dimensions() -> None:
    with pytest.raises(PriceError, match="give one quantity") as caught:
        rate(parse_price({"model": "per_unit", "unit_amount": "1"}), cells(("large", "eu", "1")))
    assert caught.value.code == "quantity_needed"


def test_the_adjusters_of_the_matrix_hold_for_all_cells_together() -> None:
    price = TOKENS | {
        "unit": {"divide_by": "1000", "round": "up"},
        "free_quantity": "3",
        "discounts": [{"percentage": "50"}],
        "minimum_amount": "1",
        "maximum_amount": "2",
    }
    rating = rated(price, ("large", "us", "4500"), ("large", "eu", "2000"))
    assert labels(rating) == [
        "large, eu: Included: 2,000 of 3,000 tokens",
        "large, eu: 0 tokens at USD 0.02 per 1,000",
        "large, us: 4,500 tokens count as 5,000 tokens (rounded up)",
        "large, us: Included: 1,000 of 3,000 tokens",
        "large, us: First 10,000 tokens at USD 1.00 per 1,000",
        "50% discount",
    ]
    assert str(rating.amount) == "2.00"
    assert str(rated(price, ("large", "us", "9000")).amount) == "2.00"
    assert (lifted := rated(price, ("large", "us", "4000"))).top_up == Decimal("0.50")
    assert str(lifted.before_minimum) == "0.50"


def test_a_cell_has_adjusters_of_its_own() -> None:
    cell = {"model": "per_unit", "unit_amount": "1", "free_quantity": "2", "maximum_amount": "5"}
    price = TOKENS | {"cells": [{"when": {"model": "large", "region": "eu"}, "price": cell}]}
    rating = rated(price, ("large", "eu", "10"), ("large", "us", "-3"))
    assert labels(rating) == [
        "large, eu: Included: 2 tokens",
        "large, eu: 8 tokens at USD 1.00",
        "large, eu: Maximum for the period: USD 5.00",
        "large, us: Negative quantity, billed as 0: -3 tokens",
    ]


def test_nothing_used_costs_nothing_and_says_so() -> None:
    assert labels(rated(TOKENS)) == ["No token used"]
    assert str(rated(TOKENS | {"minimum_amount": "7"}).amount) == "7.00"


def test_cells_may_look_at_each_event() -> None:
    card = {"model": "percentage", "rate": "1", "fixed_amount": "0.10", "free_events": 1}
    price = TOKENS | {"cells": [{"when": {"model": "large", "region": "eu"}, "price": card}]}
    assert needs(parse_price(price)).kind == "events"
    rows = [("large", "10"), ("small", "7"), ("large", "20")]
    usage = Events(
        tuple(EventUse(Decimal(amount), (("model", model), ("region", "eu"), ("day", "1"))) for model, amount in rows)
    )
    rating = rate(parse_price(price), usage)
    assert labels(rating) == [
        "large, eu: Included: 10 units, 1 event free",
        "large, eu: 1% of 20 units",
        "large, eu: 1 event at USD 0.10",
        "small, eu: 7 units at USD 0.01",
    ]
    with pytest.raises(PriceError, match="each event"):
        rate(parse_price(price), cells(("large", "eu", "1")))


CELL = TOKENS["cells"][0]


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"dimensions": []}, "out_of_range", "dimensions"),
        ({"dimensions": ["a", "b", "c", "d"]}, "out_of_range", "dimensions"),
        ({"dimensions": ["model", "model"]}, "out_of_range", "dimensions"),
        ({"dimensions": "model"}, "not_a_list", "dimensions"),
        ({"cells": [CELL, CELL]}, "duplicate_cell", "cells[1].when"),
        ({"cells": [CELL | {"when": {"model": "large"}}]}, "missing_key", "cells[0].when.region"),
        ({"cells": [CELL | {"when": CELL["when"] | {"day": "1"}}]}, "unknown_dimension", "cells[0].when.day"),
        ({"cells": [CELL | {"when": {"model": 1, "region": "eu"}}]}, "invalid_choice", "cells[0].when.model"),
        ({"cells": [CELL | {"price": TOKENS}]}, "unsupported", "cells[0].price.model"),
        ({"cells": [CELL | {"price": CELL["price"] | {"currency": "EUR"}}]}, "currency_mismatch",
         "cells[0].price.currency"),
        ({"cells": [CELL | {"price": {"model": "per_unit"}}]}, "missing_key", "cells[0].price.unit_amount"),
        ({"default": {"model": "dear"}}, "unknown_model", "default.model"),
        ({"cells": [], "default": None}, "incomplete", "cells"),
        ({"cells": [CELL | {"note": "x"}]}, "unknown_key", "cells[0].note"),
    ],
)  # fmt: skip
def test_a_wrong_matrix_is_refused_with_the_path(change: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(PriceError) as caught:
        parse_price(TOKENS | change)
    assert (caught.value.code, caught.value.path) == (code, f"price.{path}")
