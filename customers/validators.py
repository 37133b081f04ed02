"""Checks of single fields, with a sentence that names the value and the way out."""

from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from django.core.exceptions import ValidationError

from customers.currencies import is_currency

CURRENCY_PATTERN = r"^[A-Z]{3}$"


def validate_currency(code: str) -> None:
    """Accept an active ISO 4217 code."""
    if not is_currency(code):
        raise ValidationError(f"“{code}” is no active ISO 4217 currency: use a code such as USD, EUR or JPY.")


def validate_timezone(name: str) -> None:
    """Accept a name of the IANA time zone database."""
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is no IANA time zone: use a name such as Europe/Berlin or UTC.")


def validate_locale(name: str) -> None:
    """Accept a locale that babel can format with."""
    try:
        Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError) as error:
        raise ValidationError(f"“{name}” is no known locale: use a name such as en-US, de-DE or ja-JP.") from error
