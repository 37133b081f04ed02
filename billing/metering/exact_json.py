"""JSON whose numbers are exact: decimals in, decimals out, never binary floats. For columns of configuration."""

import json
from decimal import Decimal
from typing import Any, Final

import msgspec

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class ExactEncoder(json.JSONEncoder):
    """Writes a Decimal as the number that it is."""

    def encode(self, o: Any) -> str:
        """The JSON text."""
        return dumps(o)


class ExactDecoder(json.JSONDecoder):
    """Reads a number with a point as a Decimal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(options | {"parse_float": Decimal}))


def dumps(value: Any) -> str:
    """The JSON text of a value that may hold decimals."""
    return _ENCODER.encode(value).decode()


def loads(text: str) -> Any:
    """The value of a JSON text, its numbers with a point as decimals."""
    return json.loads(text, parse_float=Decimal)
