"""What is true of a line, as sentences by their names. Pure: no Django, no clock."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

Sentence = Literal[
    "fee", "fee_part", "fee_back", "fee_given_up", "usage", "nothing_used", "usage_again", "taken_back", "minimum",
    "minimum_spend", "maximum", "true_up", "overage", "coupon", "discount", "manual", "manual_off", "credit", "single",
    "difference", "reversed",
]  # fmt: skip
"""The words of each are in `languages.explained`, under `line_…`."""
BY_HAND: Final[Mapping[str, Sentence]] = {"manual": "manual", "manual_off": "manual_off", "credit": "credit"}
OF_AGREEMENTS: Final[Mapping[str, Sentence]] = {
    "maximum": "maximum", "true_up": "true_up", "overage": "overage", "coupon": "coupon", "discount": "discount",
}  # fmt: skip


def sentences_of(
    *, kind: str, amount: Decimal, quantity: Decimal | None, fraction: str, corrects: bool, steps: bool,
    desired: Decimal | None, before: Decimal | None, of_charge: bool, by_hand: str, reverses: bool = False,
) -> tuple[Sentence, ...]:  # fmt: skip
    """What a line is, and, where it is the difference to an earlier one, that it is.

    `of_charge` says whether it is of one charge; `by_hand` what it is where somebody said it: “manual”, “manual_off”,
    “credit” or nothing; `reverses` whether its document voids another.
    """
    if reverses:
        return ("reversed",)
    if kind == "recurring":
        return (_fee(corrects, amount, fraction),)
    if before and not desired and not steps:
        return ("taken_back",)
    if kind == "usage":
        return _usage(quantity, bool(before) or corrects)
    found = _slot(kind, of_charge, by_hand)
    return (found, "difference") if before else (found,)


def _fee(corrects: bool, amount: Decimal, fraction: str) -> Sentence:
    if corrects:
        return "fee_back" if amount else "fee_given_up"
    return "fee" if fraction in ("", "1", "1/1") else "fee_part"


def _usage(quantity: Decimal | None, again: bool) -> tuple[Sentence, ...]:
    first: Sentence = "nothing_used" if quantity == 0 else "usage"
    return (first, "usage_again") if again else (first,)


def _slot(kind: str, of_charge: bool, by_hand: str) -> Sentence:
    if kind == "minimum":
        return "minimum" if of_charge else "minimum_spend"
    if kind == "one_off":
        return BY_HAND.get(by_hand, "single")
    return OF_AGREEMENTS[kind]
