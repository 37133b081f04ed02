"""Reading a JSON object strictly: every problem is a PriceError with the path to it."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from billing.money import AmountError, parse_decimal, plain
from billing.pricing.errors import PriceError


class Fields:
    """The keys of one JSON object, standing at `path`; PriceError when it is none."""

    def __init__(self, obj: object, path: str) -> None:
        if not isinstance(obj, dict):
            raise PriceError("not_an_object", f'Write an object such as {{"key": "value"}} here, not {obj!r}.', path)
        self.obj: dict[str, Any] = obj
        self.path = path

    def __contains__(self, key: str) -> bool:
        return key in self.obj

    def at(self, key: str) -> str:
        """The path to a key of this object."""
        return f"{self.path}.{key}"

    def only(self, allowed: Iterable[str], owner: str) -> None:
        """Refuse any other key, naming those that there are."""
        known = list(allowed)
        for key in self.obj:
            if key not in known:
                message = f"{key!r} is no key of {owner}; it takes {', '.join(known)}."
                raise PriceError("unknown_key", message, self.at(str(key)))

    def required(self, key: str) -> Any:
        """The value of a key that must be there."""
        if key not in self.obj:
            raise PriceError("missing_key", f"{key!r} is missing; add it.", self.at(key))
        return self.obj[key]

    def number(self, key: str, *, minimum: int | None = None, maximum: int | None = None) -> Decimal:
        """A required decimal within bounds that include themselves."""
        try:
            value = parse_decimal(self.required(key), self.at(key))
        except AmountError as error:
            raise PriceError(error.code, error.message, error.path) from None
        if minimum is not None and value < minimum:
            raise PriceError("out_of_range", f"{plain(value)} is too small; write {minimum} or more.", self.at(key))
        if maximum is not None and value > maximum:
            raise PriceError("out_of_range", f"{plain(value)} is too large; write {maximum} or less.", self.at(key))
        return value

    def size(self, key: str) -> Decimal:
        """A required decimal above 0, to divide by."""
        value = self.number(key)
        if value <= 0:
            raise PriceError("out_of_range", f"{plain(value)} is no size; write a number above 0.", self.at(key))
        return value

    def whole(self, key: str, *, minimum: int | None = None, maximum: int | None = None) -> int:
        """A required whole number within bounds."""
        value = self.number(key, minimum=minimum, maximum=maximum)
        if value != int(value):
            raise PriceError("out_of_range", f"{plain(value)} is no whole number; write one.", self.at(key))
        return int(value)

    def words(self, key: str) -> tuple[str, ...]:
        """A required list of texts that are not empty."""
        value = self.required(key)
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            raise PriceError("not_a_list", f"Write a list of names here, not {value!r}.", self.at(key))
        return tuple(value)

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        """One of some words; the default when the key is absent."""
        value = self.obj.get(key, default)
        known = list(choices)
        if value not in known:
            raise PriceError("invalid_choice", f"{value!r} is unknown; use {' or '.join(known)}.", self.at(key))
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false; the default when the key is absent."""
        value = self.obj.get(key, default)
        if not isinstance(value, bool):
            raise PriceError("invalid_choice", f"{value!r} is neither true nor false; write one of them.", self.at(key))
        return value

    def objects(self, key: str) -> list["Fields"]:
        """A list of objects, each with its own path."""
        value = self.required(key)
        if not isinstance(value, list):
            raise PriceError("not_a_list", f"Write a list of objects here, not {value!r}.", self.at(key))
        return [Fields(one, f"{self.at(key)}[{index}]") for index, one in enumerate(value)]
