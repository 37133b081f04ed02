"""A column of exact numbers of any size."""

from typing import Any

from django.db import models


class ExactNumber(models.DecimalField):  # type: ignore[type-arg]  # takes none at run time
    """PostgreSQL's `numeric` without bounds: a sum of values may have more digits than each of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({"max_digits": 1000, "decimal_places": 500} | kwargs))

    def db_type(self, connection: Any) -> str:
        """No precision and no scale: nothing is rounded."""
        return "numeric"
