"""Account numbers and payment references, and what a legal entity takes of them."""

import pytest
from django.core.exceptions import ValidationError

from customers.banking import creditor_reference, grouped, is_bic, is_creditor_reference, is_iban
from customers.validators import validate_bic, validate_colour, validate_iban


def test_an_iban_is_told_by_its_check_digits():
    assert is_iban("DE02 1203 0000 0000 2020 51")
    assert is_iban("fr1420041010050500013m02606")
    assert not is_iban("DE03 1203 0000 0000 2020 51")
    assert not is_iban("DE02")
    with pytest.raises(ValidationError, match=r"“DE03” is no valid IBAN"):
        validate_iban("DE03")


def test_a_bic_has_eight_or_eleven_characters():
    assert is_bic("BYLADEM1001")
    assert is_bic("byladem1")
    assert not is_bic("BYLADEM100")
    with pytest.raises(ValidationError, match="8 or 11"):
        validate_bic("BYLADEM100")


@pytest.mark.parametrize(
    ("number", "reference"),
    [("539007547034", "RF18 5390 0754 7034"), ("INV-000001", "RF69 INV0 0000 1"), ("-", ""), ("X" * 22, "")],
)  # the first is the standard's own example
def test_a_creditor_reference_follows_from_the_number(number: str, reference: str):
    assert creditor_reference(number) == reference
    assert is_creditor_reference(reference) == bool(reference)


def test_a_creditor_reference_with_a_slip_is_none():
    assert not is_creditor_reference("RF69 INV0 0000 2")
    assert not is_creditor_reference("RF6")


def test_codes_are_read_in_groups_of_four():
    assert grouped("de02120300000000202051") == "DE02 1203 0000 0000 2020 51"


def test_a_colour_must_be_one_and_be_readable():
    validate_colour("#0b5fff")
    with pytest.raises(ValidationError, match="is no colour"):
        validate_colour("blue")
    with pytest.raises(ValidationError, match="too light"):
        validate_colour("#ffee88")
