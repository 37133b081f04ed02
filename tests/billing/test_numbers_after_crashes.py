"""Issuing with processes that are killed (SIGKILL) at any moment: numbers without a gap, nothing half-issued (R5.2)."""

import os
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django_q.models import Schedule

from billing.invoicing.concessions.services import credit
from billing.invoicing.documents import read_document
from billing.invoicing.drawing.models import WaitingDocument
from billing.invoicing.drawing.services import draw_waiting
from billing.invoicing.models import Invoice, InvoiceDocument, NumberSeries, Outbox
from billing.invoicing.services import approve, issue
from tests.factories import NOW, bill, fee, make_contract, make_entity, make_subscription, make_version

pytestmark = pytest.mark.django_db(transaction=True)

CREW = """
import os, random, signal, sys, django
django.setup()
from datetime import datetime
from django.db import connection, transaction
from billing.invoicing import lifecycle
from billing.invoicing.models import Invoice
now, size, chance = datetime.fromisoformat(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

def perhaps_die():
    if dice.random() < chance:
        os.kill(os.getpid(), signal.SIGKILL)

def deadly(honest):
    def act(*given, **named):
        perhaps_die()
        found = honest(*given, **named)
        perhaps_die()
        return found
    return act

def approved():
    return list(Invoice.objects.filter(state="approved").values_list("id", flat=True))

def work():
    lifecycle._number = deadly(lifecycle._number)  # before and after the numbers are given
    lifecycle.carry_out = deadly(lifecycle.carry_out)  # all is written, and not committed
    lifecycle.enqueue = deadly(lifecycle.enqueue)  # committed, and the worker not told
    while ids := approved():
        lifecycle.issue(invoice_ids=dice.sample(ids, min(len(ids), 3)), user=None, now=now)

def hire(number):
    global dice
    dice = random.Random(f"{sys.argv[4]} {number}")
    connection.close()
    if not os.fork():
        try:
            work()
        finally:
            connection.close()
            os._exit(sys.exc_info()[0] is not None)

killed, crew = 0, size
for number in range(size):
    hire(number)
while crew:
    _, status = os.wait()
    if os.WIFSIGNALED(status):
        killed += 1
        hire(size + killed)
    else:
        assert status == 0, status
        crew -= 1
print(killed)
"""


def documents(invoices: int, notes: int) -> None:
    """Approved invoices and credit notes of two sellers, so many of each in all; what is credited is issued before."""
    version = make_version(fee())
    for number in range(invoices + notes):
        make_subscription(make_contract(entity=make_entity(f"seller-{number % 2}")), version)
    ids = [draft.pk for draft in bill("2023-11-01")]
    approve(invoice_ids=ids, user=None, now=NOW)
    for each in issue(invoice_ids=ids[:notes], user=None, now=NOW).done:
        credit(invoice_id=each.pk, amounts={each.lines.get().pk: Decimal(60)}, reason="Wrong", user=None, now=NOW)
    drafts = Invoice.objects.filter(kind="credit_note", state="draft").values_list("pk", flat=True)
    assert len(approve(invoice_ids=list(drafts), user=None, now=NOW).done) == notes


def issue_with_a_crew(size: int, chance: float, seed: str) -> int:
    """Let processes issue all that is approved, each of which may be killed at any step; how many were."""
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "METERBOOK_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "METERBOOK_DATA": str(settings.DATA_DIR),
    }
    arguments = [sys.executable, "-c", CREW, NOW.isoformat(), str(size), str(chance), seed]
    done = subprocess.run(
        arguments, env=os.environ | own, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def nothing_is_half_issued(issued: int) -> None:
    """No gap in any series, and each document has its word to the books, its place in the queue, and its balance."""
    found = Invoice.objects.filter(state="issued").order_by("entity", "kind", "sequence")
    assert found.count() == issued
    given: dict[tuple[int, str], list[int]] = defaultdict(list)
    for each in found:
        given[each.entity_id, each.kind].append(each.sequence or 0)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in given.values()), given
    assert {(series.entity_id, series.name): series.last_number for series in NumberSeries.objects.all()} == {
        key: len(numbers) for key, numbers in given.items()
    }
    assert len(set(found.values_list("number", flat=True))) == issued
    told = Outbox.objects.filter(kind=Outbox.Kind.INVOICE_ISSUED).values_list("object_id", flat=True)
    assert sorted(told) == sorted(each.pk for each in found)
    assert WaitingDocument.objects.filter(invoice__in=found).count() == issued
    for note in found.filter(kind="credit_note"):
        assert note.balance_entries.count() == 1


def a_document_that_nobody_was_told_of_is_drawn(folder: Path) -> None:
    """A crash between number and document loses nothing: what waits is found by the schedule of every minute."""
    assert Schedule.objects.filter(func="billing.invoicing.drawing.tasks.draw", minutes=1).exists()
    left = iter((False, True))
    with override_settings(MEDIA_ROOT=folder):
        assert draw_waiting(clock=lambda: NOW, time_is_up=lambda: next(left)) == (1, 0)
        document = InvoiceDocument.objects.get()
        assert read_document(document).startswith(b"%PDF")
    assert not WaitingDocument.objects.filter(invoice=document.invoice).exists()


@pytest.mark.parametrize(
    ("invoices", "notes", "crew", "chance"),
    [(9, 3, 3, 0.1), pytest.param(100, 20, 8, 0.05, marks=pytest.mark.deep)],
)
def test_numbers_have_no_gap_however_many_issuers_are_killed(
    invoices: int, notes: int, crew: int, chance: float, tmp_path: Path
) -> None:
    documents(invoices, notes)
    assert issue_with_a_crew(crew, chance, "seed") > 0
    nothing_is_half_issued(invoices + 2 * notes)
    a_document_that_nobody_was_told_of_is_drawn(tmp_path)
