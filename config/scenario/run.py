"""Run a scenario: in a transaction that is rolled back, with a clock that advances, through the product's services.

What a service asks to be done after its commit (posting documents, above all) is done after its step. What the
database checks at a commit is checked there too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pydoc import locate
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django_q.tasks import async_task

from billing.catalog import publication
from billing.invoicing.models import Invoice
from billing.metering import names, partitions
from config import clock
from config.scenario import showing
from config.scenario.actions import Action
from config.scenario.acts.calendar import renew_what_is_due
from config.scenario.compare import Difference, differences
from config.scenario.errors import REFUSALS, ScenarioError, sentence
from config.scenario.format import ACTIONS, ROWS
from config.scenario.read import Scenario
from config.scenario.reading import Problem
from config.scenario.setup import build
from config.scenario.world import Answer, Args, World
from revenue.ledger.models import JournalEntry

LEFT_OUT: Final = ("billing.invoicing.drawing.tasks.draw", "billing.invoicing.tasks.deliver")
"""Work after a commit that leaves the database: documents are not drawn, and nothing is sent."""


@dataclass(slots=True)
class StepResult:
    """What a step did: its answer, or why it was refused; the invoices and entries that it made or changed."""

    at: datetime
    action: str
    answer: Answer = field(default_factory=dict)
    error: str = ""
    invoices: list[dict[str, Any]] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """What came of a scenario; `checks` is how many things were expected."""

    scenario: Scenario
    steps: list[StepResult] = field(default_factory=list)
    state: Answer = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    checks: int = 0

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.differences and not any(step.differences for step in self.steps)


def run(scenario: Scenario) -> Result:
    """Run a scenario and take everything back; ScenarioError where the file cannot be followed."""
    try:
        with transaction.atomic():
            try:
                return _Run(scenario).whole()
            finally:
                transaction.set_rollback(True)
    finally:  # what this process remembered of names and months was taken back with the rest
        names.forget()
        partitions.forget()


class _Run:
    """One run, which holds what the step before left."""

    def __init__(self, scenario: Scenario) -> None:
        self.said = scenario.said
        self.result = Result(scenario)
        zone = self.said.get("timezone", "UTC")
        self.world = World(zone, clock.now())
        try:
            self.world.now = self.world.instant(_beginning(self.said))
        except REFUSALS as error:
            raise ScenarioError([Problem("$.timezone", sentence(error))]) from None
        self.invoices: dict[int, dict[str, Any]] = {}
        self.entries: dict[int, dict[str, Any]] = {}

    def whole(self) -> Result:
        """The sections, the steps, and what stands at the end."""
        with clock.set_to(self.world.now):
            build(self.world, self.said)
            connection.check_constraints()
        for place, step in enumerate(self.said.get("steps", [])):
            self.result.steps.append(self._step(step, f"$.steps[{place}]"))
        with clock.set_to(self.world.now):
            self.result.state = self._state()
            expected = self.said.get("expect", {})
            self.result.checks += len(expected)
            self.result.differences = list(self._expected(expected, self.result.state))
        return self.result

    def _step(self, step: Args, path: str) -> StepResult:
        now = self.world.instant(step["at"]) if "at" in step else self.world.now
        if now < self.world.now:
            message = f"The clock stands at {showing.utc(self.world.now)} already; sort the steps by time."
            raise ScenarioError([Problem(f"{path}.at", message)])
        self.world.now, self.world.place = now, path
        action, expected = ACTIONS[step["action"]], step.get("expect", {})
        result = StepResult(now, action.name)
        with clock.set_to(now):
            publication.publish_due(now=now)
            renew_what_is_due(self.world, now)
            result.answer, result.error = self._act(action, step["args"])
            if not action.asks:
                self._look(result)
            self.result.checks += len(expected)
            result.differences = list(self._compare(action, expected, result))
        return result

    def _act(self, action: Action, args: Args) -> tuple[Answer, str]:
        """What the action answers, and why it was refused; a part of it that was refused leaves the rest done."""
        before = len(connection.run_on_commit)
        try:
            with transaction.atomic():
                answer = action.act(self.world, args)
                if not action.asks:
                    connection.check_constraints()
            _after_commit(before)
        except REFUSALS as error:
            return {}, sentence(error)
        except IntegrityError as error:  # the database's own guard speaks
            return {}, str(error).splitlines()[0]
        return answer, str(answer.pop("error", ""))

    def _look(self, result: StepResult) -> None:
        """What invoices and entries are now, and which of them are new or other than before."""
        mine = Invoice.objects.filter(customer__in=self.world.customers.values())
        after = showing.invoices_of(mine, self.world.today())
        known = {key: _lasting(each) for key, each in self.invoices.items()}
        result.invoices = [each for key, each in after.items() if known.get(key) != _lasting(each)]
        entries = JournalEntry.objects.filter(entity__in=self.world.entities.values()).exclude(pk__in=self.entries)
        posted = showing.journal_of(entries)
        result.journal = list(posted.values())
        self.invoices, self.entries = after, self.entries | posted

    def _compare(self, action: Action, expected: Args, result: StepResult) -> Iterator[Difference]:
        if "error" in expected:
            yield from differences(expected["error"], result.error or None, "refusal")
        elif result.error:
            yield Difference("refusal", "none", f"“{result.error}”")
        rest = {key: each for key, each in expected.items() if key != "error"}
        yield from self._expected(rest, {"invoices": result.invoices, "journal": result.journal, **result.answer})

    def _expected(self, expected: Args, actual: Answer) -> Iterator[Difference]:
        """What was expected against what is known; questions are asked for it."""
        for key, each in expected.items():
            if key in ROWS and isinstance(each, list) and key not in ("moved",):
                for row in each:
                    yield from self._row(ROWS[key], row)
            elif key == "ties" and isinstance(each, bool):
                yield from differences({"ties": each}, {"ties": self._ask("ties", {})["hold"]})
            else:
                yield from differences({key: each}, actual)

    def _row(self, question: Action, row: Args) -> Iterator[Difference]:
        asked = {key: each for key, each in row.items() if key in (question.params or {})}
        wanted = {key: each for key, each in row.items() if key not in asked}
        about = " ".join(str(each) for key, each in asked.items() if key != "period")
        where = f"{question.name} ({about})" if about else question.name
        try:
            yield from differences(wanted, self._ask(question.name, asked), where)
        except REFUSALS as error:
            yield Difference(where, "an answer", f"“{sentence(error)}”")

    def _ask(self, name: str, args: Args) -> Answer:
        return ACTIONS[name].act(self.world, args)

    def _state(self) -> Answer:
        """Everything that stands at the end, for a reader or another program."""
        found: Answer = {**self._ask("invoices", {}), **self._ask("journal", {})}
        found["balances"] = self._ask("balances", {})["accounts"]
        found["revenue"] = [
            {"entity": entity, "currency": currency, **self._ask("revenue", {"entity": entity, "currency": currency})}
            for entity, currency in sorted({(each["entity"], each["currency"]) for each in found["balances"]})
        ]
        return found | {"ties": self._ask("ties", {})["hold"]}


def _lasting(invoice: dict[str, Any]) -> dict[str, Any]:
    """An invoice without what time alone changes."""
    return {key: value for key, value in invoice.items() if key != "standing"}


def _beginning(said: Args) -> date | datetime:
    """When the clock begins: as the file says, or with its first step or contract, whichever is earlier."""
    if "at" in said:
        found: date | datetime = said["at"]
        return found
    steps = [step["at"] for step in said.get("steps", []) if "at" in step][:1]
    days = [contract["start"] for contract in said.get("contracts", [])]
    days += [each.date() if isinstance(each, datetime) else each for each in steps]
    return min(days, default=date(2026, 1, 1))


def _after_commit(start: int) -> None:
    """Do what services queued for after their commit, each once, and what that queues in its turn."""
    done: set[str] = set()
    while len(connection.run_on_commit) > start:
        func: Any = connection.run_on_commit[start][1]
        start += 1
        if isinstance(func, partial) and func.func is async_task:
            task, *args = func.args
            key = f"{task}{args}{func.keywords}"
            if key not in done and task not in LEFT_OUT:
                done.add(key)
                work: Any = locate(task) if isinstance(task, str) else task
                work(*args, **func.keywords)
