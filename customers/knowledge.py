"""What was known, and in which order it became known: every row of a fact as it was, under a growing number.

A number is drawn by whoever holds the customer's lock, so that for each customer numbers are in the order of commits;
the time that a row carries is not. "As known at a number" is the last content of each row up to it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Final, TypeVar

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Func

_horizon: ContextVar[int | None] = ContextVar("horizon", default=None)
Row = TypeVar("Row", bound=models.Model)
SEQUENCE: Final = "customers_knowledge_id_seq"

_REMEMBER: Final = """
    INSERT INTO customers_knowledge (fact, row_id, content)
    VALUES (TG_TABLE_NAME, coalesce(NEW.id, OLD.id), CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
"""


class Knowledge(models.Model):
    """A row of a fact as it was written; no content once it is deleted. Its id is the number under which it is known.

    Written by the trigger of each table of facts (`remembered`), in the transaction that changes it.
    """

    id = models.BigAutoField(primary_key=True)
    fact = models.CharField(max_length=63, help_text="The table.")
    row_id = models.BigIntegerField()
    content = models.JSONField(null=True, help_text="The row; none when it was deleted.")

    class Meta:
        indexes = [models.Index(fields=["fact", "row_id", "id"], name="knowledge_of_row")]
        triggers = [pgtrigger.Protect(name="knowledge_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.fact} {self.row_id}, {self.pk}"


def remembered() -> pgtrigger.Trigger:
    """The trigger that a model of facts needs, so that what was known can be told later. Its key is an `id`."""
    return pgtrigger.Trigger(
        name="remembered",
        level=pgtrigger.Row,
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        func=_REMEMBER,
    )


def draw_number() -> int:
    """A number above everything that is known now of the customers whose locks are held; draw it once they are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s)", [SEQUENCE])
        (number,) = cursor.fetchone()
    return int(number)


@contextmanager
def as_known_at(number: int) -> Iterator[None]:
    """Let `in_force` tell what was known at a number, in this thread, until the block is left."""
    token = _horizon.set(number)
    try:
        yield
    finally:
        _horizon.reset(token)


def horizon() -> int | None:
    """The number at which facts are asked for; None for what is known now."""
    return _horizon.get()


def in_force(rows: models.QuerySet[Row], stamp: str = "") -> list[Row]:
    """The rows whose `stamp` (when they were superseded or undone) is empty; all of them without a stamp.

    Within `as_known_at` as they were known then, and then `rows` may select by what never changes of a row alone, such
    as whose it is.
    """
    number = _horizon.get()
    if number is None:
        return list(rows.filter(**{f"{stamp}__isnull": True}) if stamp else rows)
    return [row for row in as_known(rows, number) if not stamp or getattr(row, stamp) is None]


def as_known(rows: models.QuerySet[Row], number: int) -> list[Row]:
    """The rows as they were known at a number, with their related rows as they are; one query more than `rows` has."""
    found = {row.pk: row for row in rows}
    last = (
        Knowledge.objects.filter(fact=rows.model._meta.db_table, row_id__in=found, id__lte=number)
        .order_by("row_id", "-id").distinct("row_id")
        .annotate(text=Func("content", template="(%(expressions)s)::text", output_field=models.TextField()))
    )  # fmt: skip
    texts = dict(last.values_list("row_id", "text"))
    return [_restored(row, texts[key]) for key, row in found.items() if texts.get(key) is not None]


def _restored(row: Row, text: str) -> Row:
    """The row with what a content tells of it, every number exact; columns that came later stay."""
    content = json.loads(text, parse_float=Decimal)
    for field in row._meta.concrete_fields:
        if field.column in content:
            value = _value(field, content[field.column])
            if value != getattr(row, field.attname):
                setattr(row, field.attname, value)
    return row


def _value(field: "models.Field[Any, Any]", content: object) -> object:
    """What a field holds; the items of an array one by one."""
    if isinstance(field, ArrayField) and isinstance(content, list):
        return [field.base_field.to_python(item) for item in content]
    return field.to_python(content)
