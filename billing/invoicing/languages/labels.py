"""Which language a locale reads, and the words of documents in it. Pure: no Django, no clock."""

from collections.abc import Mapping
from typing import Final

from billing.invoicing.languages import english, french, german, japanese

LABELS: Final[dict[str, dict[str, str]]] = {
    "en": english.LABELS,
    "de": german.LABELS,
    "fr": french.LABELS,
    "ja": japanese.LABELS,
}
ENGLISH: Final[Mapping[str, str]] = english.LABELS


def language_of(locale: str) -> str:
    """The language of a document for a locale (BCP 47): `de` for de-AT. English where there is no table."""
    language = locale.replace("_", "-").split("-")[0].lower()
    return language if language in LABELS else "en"


def labels_of(locale: str) -> Mapping[str, str]:
    """The words of a document for a locale, by key; names in braces are to be filled in with `format`."""
    return LABELS[language_of(locale)]
