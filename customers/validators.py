"""Checks of single fields, with a sentence that names the value and the way out."""

import re
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from django.core.exceptions import ValidationError
from PIL import Image

from customers.banking import is_bic, is_iban
from customers.currencies import is_currency

LOGO_BYTES = 500_000  # it stands in every document
LIGHTEST = 170  # of 255: what is lighter can hardly be read on white
CURRENCY_PATTERN = r"^[A-Z]{3}$"


def validate_currency(code: str) -> None:
    """Accept an active ISO 4217 code."""
    if not is_currency(code):
        raise ValidationError(f"“{code}” is no active ISO 4217 currency: use a code such as USD, EUR or JPY.")


@cache
def _timezones() -> set[str]:
    """The names, looked up once: they lie in hundreds of files."""
    return available_timezones()


def validate_timezone(name: str) -> None:
    """Accept a name of the IANA time zone database."""
    if name not in _timezones():
        raise ValidationError(f"“{name}” is no IANA time zone: use a name such as Europe/Berlin or UTC.")


def validate_locale(name: str) -> None:
    """Accept a locale that babel can format with."""
    try:
        Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError) as error:
        raise ValidationError(f"“{name}” is no known locale: use a name such as en-US, de-DE or ja-JP.") from error


def validate_logo(file: Any) -> None:
    """Accept a PNG or JPEG picture, by its content, of at most 500 kB."""
    if file.size > LOGO_BYTES:
        raise ValidationError(f"The logo has {file.size / 1000:,.0f} kB: use a picture of at most 500 kB.")
    file.seek(0)
    try:
        kind = Image.open(file).format
    except (OSError, Image.DecompressionBombError) as error:
        raise ValidationError("The logo cannot be read as a picture: use a PNG or JPEG file.") from error
    finally:
        file.seek(0)
    if kind not in ("PNG", "JPEG"):
        raise ValidationError(f"The logo is a {kind} picture: use a PNG or JPEG file.")


def validate_colour(colour: str) -> None:
    """Accept a colour such as #0b5fff that can be read on white paper."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise ValidationError(f"“{colour}” is no colour: write # and six digits, such as #0b5fff.")
    red, green, blue = bytes.fromhex(colour[1:])
    if (299 * red + 587 * green + 114 * blue) // 1000 > LIGHTEST:
        raise ValidationError(f"{colour} is too light to be read on white paper: choose a darker one.")


def validate_iban(code: str) -> None:
    """Accept an IBAN, with or without blanks, whose check digits are right."""
    if not is_iban(code):
        raise ValidationError(f"“{code}” is no valid IBAN: copy it from the bank, check digits included.")


def validate_bic(code: str) -> None:
    """Accept a BIC of 8 or 11 characters."""
    if not is_bic(code):
        raise ValidationError(f"“{code}” is no BIC: it has 8 or 11 letters and digits, such as COBADEFFXXX.")
