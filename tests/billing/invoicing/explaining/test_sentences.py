"""What is said of lines: a true sentence for every kind, in every language, and how usage makes a table."""

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest

from billing.catalog.terms.states import TermKind
from billing.invoicing.explaining.pivot import pivot
from billing.invoicing.explaining.sentences import Sentence, sentences_of
from billing.invoicing.fonts import unprintable
from billing.invoicing.languages.explained import LANGUAGES, WORDS, explained_in
from billing.invoicing.languages.labels import ENGLISH
from billing.invoicing.models import InvoiceLine

PLAIN: dict[str, Any] = {
    "amount": Decimal(1), "quantity": None, "fraction": "", "corrects": False, "steps": True, "desired": Decimal(1),
    "before": Decimal(0), "of_charge": True, "by_hand": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("recurring", {"fraction": "1"}, ("fee",)),
        ("recurring", {"fraction": "15/31"}, ("fee_part",)),
        ("recurring", {"corrects": True, "amount": Decimal(-1)}, ("fee_back",)),
        ("recurring", {"corrects": True, "amount": Decimal(0)}, ("fee_given_up",)),
        ("usage", {"quantity": Decimal(7)}, ("usage",)),
        ("usage", {"quantity": Decimal(0)}, ("nothing_used",)),
        ("usage", {"corrects": True, "before": Decimal(1)}, ("usage", "usage_again")),
        ("usage", {"before": Decimal(1), "desired": Decimal(0), "steps": False}, ("taken_back",)),
        ("minimum", {}, ("minimum",)),
        ("minimum", {"of_charge": False}, ("minimum_spend",)),
        ("true_up", {"before": Decimal(1)}, ("true_up", "difference")),
        ("coupon", {"before": Decimal(-1), "desired": Decimal(0), "steps": False}, ("taken_back",)),
        ("one_off", {"by_hand": "credit"}, ("credit",)),
        ("one_off", {"by_hand": "manual_off"}, ("manual_off",)),
        ("one_off", {}, ("single",)),
        ("usage", {"before": Decimal(2), "reverses": True}, ("reversed",)),
    ],
)
def test_each_kind_of_line_has_its_sentence(kind: str, given: dict[str, Any], said: tuple[str, ...]) -> None:
    assert sentences_of(kind=kind, **(PLAIN | given)) == said


def test_every_kind_that_a_line_can_have_says_something() -> None:
    for kind in InvoiceLine.Kind.values:
        assert sentences_of(kind=kind, **PLAIN)


def test_every_sentence_and_every_agreement_has_words() -> None:
    assert {f"line_{name}" for name in get_args(Sentence)} <= set(WORDS)
    assert {f"agreed_{kind}" for kind in TermKind.values} <= set(WORDS)
    assert not set(WORDS) & set(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_fills_in_what_english_does_and_the_font_draws_it(language: str) -> None:
    words = explained_in(language)
    for key, (english, *_) in WORDS.items():
        assert words[key]
        assert set(re.findall(r"{(\w+)}", words[key])) == set(re.findall(r"{(\w+)}", english)), key
    assert unprintable("".join(words.values())) == []
    assert words["net"]  # with the words of documents


def test_usage_by_days_and_values_adds_up_both_ways() -> None:
    day = date(2023, 11, 1)
    uses = [(day + timedelta(days=place % 3), (f"m{place % 7}",), Decimal(place)) for place in range(21)]
    found = pivot(uses)
    assert (len(found.columns), found.left, len(found.rows)) == (5, 2, 3)
    assert found.totals[-1] == sum(found.totals[:-1]) == 210
    for place, total in enumerate(found.totals):
        assert sum(cells[place] for _, cells in found.rows) == total


def test_a_long_time_is_shown_by_months_and_without_dimensions_there_is_one_column() -> None:
    found = pivot([(date(2023, 1, 1) + timedelta(days=place), (), Decimal(1)) for place in range(90)])
    assert [when for when, _ in found.rows] == ["2023-01", "2023-02", "2023-03"]
    assert (found.columns, found.totals) == ([], [Decimal(90)])
    assert pivot([]).rows == []
