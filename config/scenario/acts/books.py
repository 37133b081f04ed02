"""Steps about the books: recognise revenue, close a month. Documents are posted by themselves."""

from typing import Any, Final

from config.scenario.actions import Action
from config.scenario.sections import of
from config.scenario.shapes import Choice, Flag, ListOf, Month, Number, Obj, Text, may, needs
from config.scenario.world import Answer, Args, World
from revenue.ledger.services import close_period, recognise

_BOOKS: Final = {"month": needs(Month(), "e.g. 2026-01"), "entity": of("entity")}


def _recognise(world: World, given: Args) -> Answer:
    """Post the revenue of all months up to one."""
    report = recognise(through=given["month"], now=world.now, entity=world.entity(given))
    rows: list[dict[str, Any]] = [
        {
            "month": f"{row.month:%Y-%m}", "posted_in": f"{row.posted_in:%Y-%m}", "event": str(row.event),
            "currency": row.currency, "amount": f"{row.amount.normalize():f}",
        }
        for row in report.months
    ]  # fmt: skip
    return {"recognised": rows}


def _close(world: World, given: Args) -> Answer:
    """Close a month; with `recognise_first`, which is the default, its revenue is posted before."""
    close_period(
        entity=world.entity(given), month=given["month"], user=None, now=world.now,
        recognise_first=given.get("recognise_first", True),
    )  # fmt: skip
    return {}


ACTIONS: Final = [
    Action("recognise", "Revenue is recognised up to the end of a month.", Obj("a recognition", _BOOKS), _recognise, {
        "recognised": may(ListOf(Obj("a month's revenue", {
            "month": may(Text()), "posted_in": may(Text()), "currency": may(Text()), "amount": may(Number()),
            "event": may(Choice(("service_delivered", "usage_rated"))),
        }))),
    }),
    Action("close", "A month of the books is closed.", Obj("a closing", {
        **_BOOKS, "recognise_first": may(Flag(), "post what is left to post; default true"),
    }), _close),
]  # fmt: skip
