"""The examples of docs/lab.md, computed."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from billing.lab.shares import bucket, chosen
from tests.billing.lab.helpers import amounts, finish, make_book, make_candidate, make_trial, start

PAGE = (Path(__file__).parents[3] / "docs/lab.md").read_text()


@pytest.mark.django_db
def test_the_worked_example_comes_out_as_it_is_written() -> None:
    rows = re.findall(r"^\| (buyer-\d) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    make_book([int(tokens) for _, tokens, _, _ in rows])
    run = finish(start(make_trial(make_candidate())))
    assert amounts(run) == {name: (Decimal(today), [Decimal(amount)]) for name, _, today, amount in rows}
    (total,) = run.result["candidates"][0]["totals"]
    assert (total["today"], total["amount"], total["more"], total["less"]) == ("360", "360", 1, 2)


def test_the_buckets_of_the_page_are_those_of_the_hash() -> None:
    rows = re.findall(r"^\| `(K-\d)` \| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for contract, place, variant in rows:
        assert bucket("spring", contract) == int(place)
        assert ("control", "dear tokens")[chosen(int(place), [5_000, 5_000])] == variant
