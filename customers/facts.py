"""What is said once: its row is stamped when it no longer stands, never edited, never deleted."""

from collections.abc import Sequence

import pgtrigger


def said_once(name: str, *, stamp: str, said: Sequence[str]) -> list[pgtrigger.Trigger]:
    """Triggers of a table of facts: the columns `said` never change, nothing does after the `stamp`, no row goes.

    `name` begins the names of the triggers; columns are written as SQL has them (`"end"` in quotes).
    """
    old, new = (", ".join(f"{row}.{column}" for column in said) for row in ("OLD", "NEW"))
    changed = f"OLD.{stamp} IS NOT NULL OR ({old}) IS DISTINCT FROM ({new})"
    return [
        pgtrigger.Protect(name=f"{name}_frozen", operation=pgtrigger.Update, condition=pgtrigger.Condition(changed)),
        pgtrigger.Protect(name=f"{name}_kept", operation=pgtrigger.Delete),
    ]
