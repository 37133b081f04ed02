"""The words of documents: every language has all of them, and steps read in it."""

import re

import pytest

from billing.invoicing.fonts import unprintable
from billing.invoicing.languages.labels import ENGLISH, LABELS, labels_of, language_of
from billing.invoicing.languages.steps import _PATTERNS, _TABLES, step_in

LANGUAGES = sorted(LABELS)


def names_in(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_word_with_nothing_to_fill_in_that_english_has_not(language: str):
    words = LABELS[language]
    assert list(words) == list(ENGLISH)
    assert all(words.values())
    for key, text in words.items():
        assert names_in(text) <= names_in(ENGLISH[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_font_draws_every_word(language: str):
    assert unprintable("".join([*LABELS[language].values(), *_TABLES.get(language, {}).values()])) == []


@pytest.mark.parametrize("language", sorted(_TABLES))
def test_every_pattern_of_a_step_has_its_words_in_every_language(language: str):
    table = _TABLES[language]
    assert sorted(table) == sorted(key for key, _ in _PATTERNS)
    for key, pattern in _PATTERNS:
        assert names_in(table[key]) <= {str(place) for place in range(pattern.groups)}, key


def test_a_language_is_found_by_its_locale_and_english_stands_in():
    assert [language_of(each) for each in ("de-AT", "ja_JP", "fr", "en-GB", "pl-PL")] == ["de", "ja", "fr", "en", "en"]
    assert labels_of("de-CH")["invoice"] == "Rechnung"


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("First 5.000 tokens at EUR 0,10", "Die ersten 5.000 tokens zu EUR 0,10"),
        ("Next 5 tokens at EUR 2,00 plus EUR 5,00", "Die nächsten 5 tokens zu EUR 2,00 zuzüglich EUR 5,00"),
        ("Above 9 tokens at EUR 3,00 per 1.000", "Über 9 tokens zu EUR 3,00 je 1.000"),
        ("First 10 tokens at no charge", "Die ersten 10 tokens kostenlos"),
        ("7 tokens at EUR 0,05", "7 tokens zu EUR 0,05"),
        ("7 tokens at EUR 0,05 (tier above 5 up to 10)", "7 tokens zu EUR 0,05 (Stufe über 5 bis 10)"),
        ("3 packages of 100 tokens at EUR 5,00", "3 Pakete mit 100 tokens zu EUR 5,00"),
        ("Included: 62 images", "Enthalten: 62 images"),
        ("Included: 5 of 62 images", "Enthalten: 5 von 62 images"),
        ("2,9% of 100 euros", "2,9 % von 100 euros"),
        ("10% discount", "10 % Rabatt"),
        ("Minimum for the period: EUR 50,00", "Mindestbetrag des Zeitraums: EUR 50,00"),
        ("Commitment: EUR 900,00", "Zusage: EUR 900,00"),
        ("Less 10 %", "Abzüglich 10 %"),
        ("Credit: Tokens", "Gutschrift: Tokens"),
        ("2 days at EUR 450.00", "2 days zu EUR 450.00"),
        ("gpt-4 / eu: First 5 tokens at EUR 1,00", "gpt-4 / eu: Die ersten 5 tokens zu EUR 1,00"),
        ("gpt-4 / eu: 5 tokens at EUR 1,00", "gpt-4 / eu: 5 tokens zu EUR 1,00"),
        ("A name of our own", "A name of our own"),
    ],
)
def test_steps_read_in_german(english: str, german: str):
    assert step_in("de", english) == german
    assert step_in("en", english) == english


def test_a_name_with_braces_is_no_template():
    assert step_in("de", "5 {x} tokens at EUR 0,05") == "5 {x} tokens zu EUR 0,05"
