"""Which contracts a fact concerns that was recorded since they were last computed: rows that triggers write.

Whoever computes a contract deletes the touches that it saw, and those alone: what commits meanwhile stays for the next.
"""

from typing import Final

import pgtrigger
from django.db import models

_TOUCH: Final = """
    INSERT INTO customers_touch (contract_id) SELECT DISTINCT * FROM (WITH rows AS ({rows}) {contracts}) touched;
    RETURN NULL;
"""


OF_SUBSCRIPTION: Final = "SELECT s.contract_id FROM rows r JOIN billing_subscription s ON s.id = r.subscription_id"
"""What `touching` takes for facts of a subscription."""
EVERYBODY: Final = "SELECT NULL::bigint FROM rows"
"""What `touching` takes for facts that may concern every contract."""


class Touch(models.Model):
    """A contract, or where it is NULL every contract, about which a fact was recorded, changed or taken back."""

    id = models.BigAutoField(primary_key=True)
    contract = models.ForeignKey(
        "customers.Contract", models.CASCADE, null=True, db_constraint=False, db_index=True, related_name="+"
    )
    transaction = models.TextField(
        db_default=models.Func(function="pg_current_xact_id", template="%(function)s()::text")
    )

    class Meta:
        verbose_name_plural = "touches"

    def __str__(self) -> str:
        return f"touch {self.pk}"


def touching(
    contracts: str, *, columns: str = "*", operations: tuple[str, ...] = ("insert", "update", "delete")
) -> list[pgtrigger.Trigger]:
    """The triggers that a table of facts needs, so that a run computes the contracts that a change of it concerns.

    `contracts` is a SELECT of contract ids from `rows`: those inserted or deleted, or changed, as they were and as they
    are; NULL stands for every contract. `columns` are what counts as a change, and what `rows` has after an update.
    """
    found = {
        "insert": (pgtrigger.Insert, {"new": "added"}, "SELECT * FROM added"),
        "update": (
            pgtrigger.Update,
            {"old": "was", "new": "now"},
            f"(SELECT {columns} FROM was EXCEPT SELECT {columns} FROM now)"
            f" UNION ALL (SELECT {columns} FROM now EXCEPT SELECT {columns} FROM was)",
        ),
        "delete": (pgtrigger.Delete, {"old": "gone"}, "SELECT * FROM gone"),
    }
    return [
        pgtrigger.Trigger(
            name=f"touch_{name}",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(**tables),  # type: ignore[no-untyped-call]
            func=_TOUCH.format(rows=rows, contracts=contracts),
        )
        for name, (operation, tables, rows) in found.items()
        if name in operations
    ]
