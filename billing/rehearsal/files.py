"""A file of assumed usage: CSV with customer, meter and the quantity of a cycle."""

import csv
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from billing.metering.models import Meter
from billing.rehearsal.errors import BadUsageFile
from customers.models import Customer

COLUMNS: Final = ("customer", "meter", "quantity")


def usage_of(path: Path) -> dict[tuple[int, int], Decimal]:
    """Quantities of a whole cycle by (customer id, meter id); BadUsageFile names the line that cannot be read."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return read_usage(file)


def read_usage(lines: Iterable[str]) -> dict[tuple[int, int], Decimal]:
    """The same of lines of text. Customers by their own id, meters by their code; two queries."""
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadUsageFile(f"The first line names the columns: {','.join(COLUMNS)}.")
    rows = [(reader.line_num, row) for row in reader]
    customers = dict(
        Customer.objects.filter(external_id__in={row["customer"] for _, row in rows}).values_list("external_id", "pk")
    )
    meters = dict(
        Meter.objects.filter(code__in={row["meter"] for _, row in rows}, superseded_at=None).values_list("code", "pk")
    )
    found: dict[tuple[int, int], Decimal] = {}
    for number, row in rows:
        if row["customer"] not in customers:
            raise BadUsageFile(f"Line {number}: there is no customer “{row['customer']}”.")
        if row["meter"] not in meters:
            raise BadUsageFile(f"Line {number}: there is no meter “{row['meter']}”.")
        found[customers[row["customer"]], meters[row["meter"]]] = _quantity(row["quantity"], number)
    return found


def _quantity(text: str | None, number: int) -> Decimal:
    try:
        quantity = Decimal(text or "")
    except InvalidOperation:
        quantity = Decimal("NaN")
    if not quantity.is_finite():
        raise BadUsageFile(f"Line {number}: “{text}” is no quantity; write a number such as 120000.")
    return quantity
