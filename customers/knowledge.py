"""What was known, and in which order it became known: every row of a fact as it was, under a growing number.

A number is drawn by whoever holds the customer's lock, so that for each customer numbers are in the order of commits;
the time that a row carries is not. "As known at a number" is the last content of each row up to it.
"""

import json
from decimal import Decimal
from typing import Final, TypeVar

import pgtrigger
from django.db import connection, models
from django.db.models import Func

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


def as_known(rows: models.QuerySet[Row], number: int | None) -> list[Row]:
    """The rows as they were known at a number, in order of their keys; as they are, for None. Two queries.

    `rows` selects by what never changes of a row, such as whose it is, and its related rows are read anew.
    """
    if number is None:
        return list(rows.order_by("pk"))
    model = rows.model
    ids = set(rows.order_by().values_list("pk", flat=True))
    last = (
        Knowledge.objects.filter(fact=model._meta.db_table, row_id__in=ids, id__lte=number)
        .order_by("row_id", "-id").distinct("row_id")
        .annotate(text=Func("content", template="(%(expressions)s)::text", output_field=models.TextField()))
        .values_list("text", flat=True)
    )  # fmt: skip
    return [_row(model, text) for text in last if text is not None]


def _row(model: type[Row], text: str) -> Row:
    """The row that a content tells, every number exact; fields that came later have their defaults."""
    content = json.loads(text, parse_float=Decimal)
    fields = [field for field in model._meta.concrete_fields if field.column in content]
    return model(**{field.attname: field.to_python(content[field.column]) for field in fields})
