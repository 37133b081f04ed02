"""What came of a scenario, in words for whoever wrote it and as JSON for other programs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config.scenario import showing
from config.scenario.run import Result, StepResult


def to_json(result: Result) -> dict[str, Any]:
    """All actual results: no ids of the database, no time but the scenario's own."""
    return {
        "file": result.scenario.file, "name": result.scenario.name, "passed": result.passed,
        "differences": [each.to_json() for each in result.differences],
        "steps": [_step_json(step) for step in result.steps], **result.state,
    }  # fmt: skip


def _step_json(step: StepResult) -> dict[str, Any]:
    found: dict[str, Any] = {"at": showing.utc(step.at), "step": step.action, **step.answer}
    for key in ("error", "invoices", "journal"):
        if getattr(step, key) and key not in found:
            found[key] = getattr(step, key)
    return found | ({"differences": [each.to_json() for each in step.differences]} if step.differences else {})


def in_words(result: Result, *, whole: bool) -> Iterator[str]:
    """A line that says whether all is as expected, what is not, and with `whole` everything that happened."""
    count = f"{len(result.steps)} step{'' if len(result.steps) == 1 else 's'}"
    if not result.passed:
        yield f"✗ {result.scenario.name}: not as expected"
    elif result.checks:
        yield f"✓ {result.scenario.name}: as expected ({count}, {result.checks} expectations)"
    else:
        yield f"• {result.scenario.name}: nothing is expected of it ({count}); this is what happens:"
    for place, step in enumerate(result.steps, 1):
        if whole or not result.checks:
            yield from _step(place, step)
        elif step.differences:
            yield f"  {_head(place, step)}"
        for each in step.differences:
            yield f"    ≠ {each}"
    if result.differences:
        yield "  at the end"
        for each in result.differences:
            yield f"    ≠ {each}"


def _head(place: int, step: StepResult) -> str:
    when = showing.utc(step.at).removesuffix("T00:00:00Z")
    return f"step {place}, {when}: {step.action.replace('_', ' ')}"


def _step(place: int, step: StepResult) -> Iterator[str]:
    yield f"  {_head(place, step)}"
    if step.error:
        yield f"    refused: {step.error}"
    answer = {key: value for key, value in step.answer.items() if key not in ("invoices", "journal")}
    yield from _values(answer, "    ")
    for invoice in step.answer.get("invoices", step.invoices):
        yield from _invoice(invoice)
    for entry in step.answer.get("journal", step.journal):
        yield from _entry(entry)


def _values(found: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in found.items():
        match value:
            case list() if value and isinstance(value[0], Mapping):
                yield f"{indent}{key}:"
                for each in value:
                    yield f"{indent}  {_row(each)}"
            case list():
                yield f"{indent}{key}: {', '.join(map(str, value)) or 'none'}"
            case dict():
                yield f"{indent}{key}: {', '.join(f'{name} {each}' for name, each in value.items()) or 'none'}"
            case None | "":
                continue
            case _:
                yield f"{indent}{key}: {value}"


def _row(each: Mapping[str, Any]) -> str:
    shown = [f"{key} {value}" for key, value in each.items() if value not in (None, "") and key != "steps"]
    return ", ".join(shown)


def _invoice(invoice: Mapping[str, Any]) -> Iterator[str]:
    number = invoice.get("number") or invoice["state"]
    whose = invoice.get("contract") or invoice["customer"]
    yield f"    invoice {number} of {whose}: {invoice['currency']} {invoice['total']} ({invoice['state']})"
    rows = [(_service(line), str(line.get("quantity", "")), line["amount"]) for line in invoice["lines"]]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(3)]
    for what, quantity, amount in rows:
        yield f"      {what:<{widths[0]}}  {quantity:>{widths[1]}}  {amount:>{widths[2]}}"


def _service(line: Mapping[str, Any]) -> str:
    corrected = f", corrects {line['corrects']['invoice']}" if "corrects" in line else ""
    return f"{line['name']}, {line['from']} to {line['to']}{corrected}"


def _entry(entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"    entry {entry['number']} on {entry['date']}: {entry['memo']}"
    sides: Sequence[Mapping[str, Any]] = entry["lines"]
    for side in sides:
        amount = side.get("debit") or f"  {side['credit']}"
        yield f"      {side['account']} {side['name']}: {'debit' if 'debit' in side else 'credit'} {amount.strip()}"
