"""What docs/terms.md says of each kind, and its example, hold."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing.catalog.agreements.kinds import read_agreement
from billing.catalog.agreements.states import AgreementKind
from billing.catalog.agreements.wording import agreement_in_words
from billing.catalog.terms.kinds import READERS, read_value
from billing.catalog.terms.resolve import Term, resolve
from billing.catalog.terms.states import TermKind
from billing.catalog.terms.values import ChargeTerms, Interval, Source
from billing.catalog.terms.wording import term_in_words
from billing.periods import Period
from billing.pricing import parse_price, rate

PAGE = (Path(__file__).resolve().parents[4] / "docs/terms.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| `(\{.*?\})` \| (.+?) \|$", PAGE, re.MULTILINE)
FOR_EVER = Period(datetime(2024, 1, 1, tzinfo=UTC), None)


def test_it_works() -> None:
    assert len(ROWS) > 14
    assert READERS.keys() == set(TermKind.values)
    told = {kind for kind, _, _ in ROWS} | {"add", "meter"}  # which name a charge and a meter, and have no value
    assert told == set(TermKind.values)


@pytest.mark.parametrize(("kind", "value", "words"), ROWS)
def test_a_documented_value_says_what_the_page_says(kind: str, value: str, words: str) -> None:
    assert term_in_words(read_value(kind, json.loads(value)), currency="USD", unit="token") == words


OF_CONTRACTS = re.findall(r"^\| (\w+) \| `(\{.*?\})` \| (.+?) \|$", PAGE, re.MULTILINE)


def test_every_kind_of_a_contract_is_documented() -> None:
    assert {kind for kind, _, _ in OF_CONTRACTS} == set(AgreementKind.values)


@pytest.mark.parametrize(("kind", "value", "words"), OF_CONTRACTS)
def test_a_documented_value_of_a_contract_says_what_the_page_says(kind: str, value: str, words: str) -> None:
    assert agreement_in_words(read_agreement(kind, json.loads(value)), "USD") == words


def test_the_documented_example_comes_to_the_documented_amount() -> None:
    (example,) = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    plan = ChargeTerms(1, 1, "Tokens", 0, in_advance=False, price=parse_price(example["price"]), meter_id=1)
    terms = [
        Term(read_value(each["kind"], each["value"]), FOR_EVER, Source("term", ""), None if "of" in each else 1)
        for each in example["terms"]
    ]
    for given in (terms, terms[::-1]):
        (found,) = resolve([Interval(1, FOR_EVER, Decimal(1), (plan,))], given).intervals
        assert str(rate(found.charges[0].price, Decimal(example["quantity"])).amount) == example["amount"]
