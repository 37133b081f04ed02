"""Labels of rating steps in the customer's language. Pure: no Django, no clock.

Rules write labels in English and lines keep them so; a document translates the patterns it knows. What it does not
know, such as the customer's own names, prints as it is.
"""

import re
from typing import Final

from billing.invoicing.languages import french, german, japanese

_TABLES: Final = {"de": german.STEPS, "fr": french.STEPS, "ja": japanese.STEPS}
# In this order: the first that fits is taken. Groups that are themselves phrases are translated in turn.
_PATTERNS: Final = [
    (key, re.compile(pattern, re.DOTALL))
    for key, pattern in (
        ("tier_between", r"(.+) \(tier above (.+) up to (.+)\)"),
        ("tier_above", r"(.+) \(tier above (.+)\)"),
        ("tier_up_to", r"(.+) \(tier up to (.+)\)"),
        ("first_free", r"First (.+) at no charge"),
        ("next_free", r"Next (.+) at no charge"),
        ("above_free", r"Above (.+) at no charge"),
        ("free", r"([^:]+) at no charge"),
        ("included_part", r"Included: (.+) of (.+)"),
        ("included", r"Included: (.+)"),
        ("minimum", r"Minimum for the period: (.+)"),
        ("maximum", r"Maximum for the period: (.+)"),
        ("minimum_spend", r"Minimum spend: (.+)"),
        ("maximum_spend", r"Maximum spend: (.+)"),
        ("commitment", r"Commitment: (.+)"),
        ("charges_period", r"Charges of the period: ([^,]*[\d.,]+)"),
        ("charges_term", r"Charges of the term: ([^,]*[\d.,]+)"),
        ("usage_itself", r"Usage billed by itself"),
        ("before", r"Used before the change"),
        ("rounded_to", r"Rounded to (.+)"),
        ("not_used", r"Not used: (.+?) of (.+)"),
        ("less", r"Less (.+) %"),
        ("its_part", r"Its part of (.+)"),
        ("its_share", r"Its share: (.+) of the period"),
        ("discount", r"([^:]+)% discount"),
        ("discount_of", r"Discount of (.+)"),
        ("flat", r"Flat fee"),
        ("charged_again", r"Charged again"),
        ("waived", r"Waived"),
        ("credit_of", r"Credit: (.+)"),
        ("credited_step", r"Credited"),
        ("unused", r"No .+ used"),
        ("more", r"([\d.,\s]+) more"),
        ("first_for", r"First (.+) for ([A-Z]{3} .+)"),
        ("next_for", r"Next (.+) for ([A-Z]{3} .+)"),
        ("above_for", r"Above (.+) for ([A-Z]{3} .+)"),
        ("first", r"First (.+) at (.+)"),
        ("next", r"Next (.+) at (.+)"),
        ("above", r"Above (.+) at (.+)"),
        ("packages", r"(\S+) packages? of (.+) at (.+)"),
        ("each", r"([^:]+) at (.+) each"),
        ("at", r"([^:]+) at ([A-Z]{3} .+|.+%.*)"),
        ("for", r"([^:]+) for ([A-Z]{3} .+)"),
        ("plus", r"([A-Z]{3} .+) plus (.+)"),
        ("per", r"([A-Z]{3} \S+) per (.+)"),
        ("percent", r"(\S+)% of (.+)"),
    )
]


def step_in(language: str, label: str) -> str:
    """A step's label in a language (`de`), its numbers as they stand; as it is in English and where none fits.

    `First 5.000 tokens at EUR 0,10` is `Die ersten 5.000 tokens zu EUR 0,10`.
    """
    table = _TABLES.get(language)
    if table is None:
        return label
    for key, pattern in _PATTERNS:
        if found := pattern.fullmatch(label):
            return table[key].format(*(step_in(language, part) for part in found.groups()))
    name, colon, rest = label.partition(": ")  # of a matrix: the names of its values, then the step
    return f"{name}{colon}{step_in(language, rest)}" if colon else label
