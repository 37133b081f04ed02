"""The demo: a story that holds together, told once however often it is begun, in nobody else's database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F, Q
from django.test import override_settings

from billing.hosted.models import Dispute
from billing.invoicing.delivery.models import Delivery
from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.models import Invoice, InvoiceDocument, InvoiceLine, Outbox
from billing.invoicing.review.models import Approval
from billing.metering import names, partitions
from billing.metering.explorer.activity import unmatched_subjects, unmatched_types
from billing.metering.explorer.unreadable import unreadable
from billing.metering.models import Event, EventKey
from billing.payments.models import Allocation, Payment
from billing.payments.queries import Standing, with_standing
from billing.payments.writeoffs.models import WriteOff
from config.demo import story as stories
from config.demo.company import in_every_currency
from config.demo.documents import TO_FILES
from config.demo.history import to_review
from config.demo.people import CHANGES, PEOPLE
from config.demo.reset import NotTheDemos, reset
from config.demo.story import Story
from config.demo.tell import tell
from config.demo.usage import NotStored, Usage, events_of, send
from customers.models import Customer
from revenue.ledger.models import AccountingPeriod, JournalEntry
from revenue.ledger.ties import ties
from tests.databases import migrated
from tests.factories import make_customer

NOW = datetime(2024, 2, 20, 15, 30, 12, 345, tzinfo=UTC)
TOLD = 22  # customers
MONTHS = 3
ALL = date(2023, 1, 1)


@contextmanager
def own_database(template: str = "template0") -> Iterator[str]:
    """A database, empty or a copy, that this process works in: the demo commits, and drops schemas. Gives its name."""
    original = connection.settings_dict["NAME"]
    name = f"test_demo_{os.getpid()}_{next(_serial)}"
    connection.close()
    _administer(f"CREATE DATABASE {name} TEMPLATE {template}")
    connection.settings_dict["NAME"] = name
    _forget()
    try:
        yield name
    finally:
        connection.close()
        connection.settings_dict["NAME"] = original
        _administer(f"DROP DATABASE {name}")
        _forget()


_serial = count(1)


def _administer(statement: str) -> None:
    with connection._nodb_cursor() as cursor:  # Django's own, for test databases
        cursor.execute(statement)


def _forget() -> None:
    names.forget()
    partitions.forget()


def counts() -> list[int]:
    """How much of everything there is."""
    models = (Event, EventKey, Customer, Invoice, InvoiceLine, Payment, JournalEntry, InvoiceDocument, Delivery, User)
    return [model.objects.count() for model in models]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def story(django_db_blocker: Any, folder: Path) -> Iterator[Story]:
    """A short story, told once for this module in a database of its own."""
    mail = {"EMAIL_BACKEND": TO_FILES, "EMAIL_FILE_PATH": folder / "outbox"}
    where = override_settings(MEDIA_ROOT=folder / "documents", **mail)
    with where, django_db_blocker.unblock(), own_database(migrated()):
        made, new = stories.begin(now=NOW, events=4_000, people=TOLD, months=MONTHS)
        assert new
        tell(made, quiet=True)
        yield made


def test_it_works(story: Story) -> None:
    assert Customer.objects.count() == TOLD
    assert Event.objects.count() >= 4_000
    assert Invoice.objects.filter(state="issued").count() > 3 * 18
    assert Outbox.objects.filter(posting=None).count() == 0


def test_the_ties_between_billing_and_the_ledger_hold(story: Story) -> None:
    found = ties()
    assert {tie.currency for tie in found.rows} == {"USD", "EUR", "JPY"}
    assert [tie for tie in found.rows if tie.difference] == []


def test_ten_invoices_are_left_to_review_and_all_others_are_issued(story: Story) -> None:
    drafts = Invoice.objects.filter(state="draft")
    assert sorted(drafts.values_list("contract__number", flat=True)) == sorted(to_review(story, PEOPLE[:TOLD]))
    assert drafts.count() == 10
    assert not Invoice.objects.filter(state="approved").exists()


def test_no_run_held_or_failed_a_contract(story: Story) -> None:
    from billing.invoicing.models import RunOutcome

    assert not RunOutcome.objects.exclude(result__in=["drafted", "unchanged"]).exists()


def test_all_months_but_the_last_are_closed(story: Story) -> None:
    """The last complete one is recognised, and left for the user to close."""
    closed = set(AccountingPeriod.objects.filter(state="closed").values_list("month", flat=True))
    assert {story.month(0), story.month(1)} <= closed
    assert max(closed) == story.month(MONTHS - 2)
    assert JournalEntry.objects.filter(date__gte=story.month(MONTHS - 1), event="usage_rated").exists()


def test_customers_pay_in_full_late_in_part_and_not_at_all(story: Story) -> None:
    issued = with_standing(Invoice.objects.filter(state="issued"), NOW)
    standings = set(issued.values_list("standing", flat=True))
    assert {Standing.PAID, Standing.OPEN, Standing.OVERDUE} <= standings
    assert Allocation.objects.filter(payment__received_on__gt=F("invoice__due_date")).exists()
    assert Allocation.objects.filter(amount__lt=F("invoice__total")).exists()


def test_late_usage_and_changes_make_corrections(story: Story) -> None:
    """An adjustment of usage that came after its invoice, and a seat change's credit and charge."""
    corrections = InvoiceLine.objects.filter(corrects__isnull=False)
    assert corrections.filter(kind="usage").exists()
    seats = corrections.filter(kind="recurring", charge__code__code="seats", amount__lt=0)
    assert seats.filter(invoice__contract__number="C-saltmarsh").exists()


def test_a_contract_that_starts_in_mid_month_begins_with_a_stub(story: Story) -> None:
    first = Invoice.objects.filter(contract__number="C-polder").earliest("as_of")
    fractions = first.lines.filter(kind="recurring").values_list("fraction", flat=True)
    assert any(fraction != "1" for fraction in fractions)


def test_some_usage_counts_for_nobody(story: Story) -> None:
    assert [each.name for each in unmatched_types(ALL)] == ["embedding"]
    assert {each.name for each in unmatched_subjects(ALL)} == {"org_trial-7c1e", "org_sandbox-eu"}
    assert {row.meter.code for row in unreadable(ALL)} == {"input-tokens"}


def test_the_last_invoices_have_documents_and_lie_in_the_outbox(story: Story, folder: Path) -> None:
    last = Invoice.objects.filter(state="issued", as_of=story.current)
    assert last.count() == InvoiceDocument.objects.count() == Delivery.objects.filter(sent_at__isnull=False).count() > 0
    # Django names a file by the second and may put two mails into one: count the mails.
    mails = "".join(file.read_text() for file in (folder / "outbox").iterdir())
    assert mails.count("\nMessage-ID: ") == last.count()


def test_everything_is_dated_in_the_story(story: Story) -> None:
    """Nothing takes the wall clock's time."""
    assert not Invoice.objects.filter(Q(issued_at__gt=NOW) | Q(created_at__gt=NOW)).exists()
    assert not JournalEntry.objects.filter(date__gt=NOW.date()).exists()
    assert not Payment.objects.filter(Q(recorded_at__gt=NOW) | Q(received_on__gt=NOW.date())).exists()
    assert Event.objects.latest("ts").ts < NOW


def test_finances_desk_is_not_empty(story: Story) -> None:
    assert Approval.objects.filter(policy__isnull=False).exists()
    assert set(ManualLine.objects.values_list("kind", flat=True)) == {"line", "discount"}
    assert InvoiceNote.objects.get().printed
    note = Invoice.objects.get(kind="credit_note", state="issued", lines__terms__concession__isnull=False)
    assert note.number is not None
    waiting = WriteOff.objects.get()
    assert (waiting.state, waiting.four_eyes) == ("requested", True)
    assert Dispute.objects.get().state == "open"
    assert Invoice.objects.filter(state="issued", tax__gt=0, customer__country="DE").exists()
    assert not Invoice.objects.filter(tax__gt=0).exclude(customer__country="DE").exists()


def test_a_login_stands_for_each_role(story: Story) -> None:
    roles = {user.username: [group.name for group in user.groups.all()] for user in User.objects.all()}
    expected = {name: [role] for name, role in _logins().items()}
    assert roles == expected | {"admin": []}
    assert User.objects.get(username="finance").check_password("meterbook")


def _logins() -> dict[str, str]:
    return {"revops": "RevOps", "finance": "Finance", "engineer": "Engineer", "auditor": "Auditor"}


def test_telling_it_again_adds_nothing(story: Story) -> None:
    """Even when the demo has forgotten that months and documents are done: it finds each thing done."""
    before = counts()
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {stories.TABLE} WHERE step LIKE 'month %' OR step = 'done'")
    again, new = stories.begin(now=datetime(2025, 1, 1, tzinfo=UTC), events=9, people=1)
    assert (again, new) == (story, False)
    tell(again, quiet=True)
    assert counts() == before
    assert ties().hold


def test_the_command_continues_and_says_what_stands(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    before = counts()
    call_command("demo", no_serve=True)
    said = capsys.readouterr().out
    assert "stands already" in said
    assert "10 drafts to review" in said
    assert "finance (Finance)" in said
    assert counts() == before


def test_one_demo_at_a_time(story: Story) -> None:
    with stories.alone(), pytest.raises(CommandError, match="Another demo is being made"):
        call_command("demo", no_serve=True)


def test_an_event_that_does_not_fit_what_is_stored_stops_the_demo(story: Story) -> None:
    """Another seed's events under the same ids would be counted beside the first ones: it says so instead."""
    from billing.metering.models import ApiKey

    usage = Usage.of(story, tuple(PEOPLE[:1]))
    event = next(events_of(story, PEOPLE[0], 0, 1))
    stored = Event.objects.exclude(id=event.id).filter(subject__name="org_brightwater").first()
    assert stored is not None
    usage.late[-1] = [type(event)(stored.id, event.type, event.subject, event.time, None, event.data)]
    with pytest.raises(NotStored, match="--reset"):
        list(send(usage, 0, ApiKey.objects.get()))


def test_a_database_with_other_customers_is_left_alone(django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), own_database(migrated()):
        make_customer("acme")
        with pytest.raises(CommandError, match="holds 1 customers that are not the demo's"):
            call_command("demo", no_serve=True)
        with pytest.raises(CommandError, match="--reset deletes everything"):
            call_command("demo", no_serve=True, reset=True)
        assert Customer.objects.get().external_id == "acme"
        assert stories.read() is None


@pytest.mark.deep
def test_a_reset_begins_afresh(story: Story, folder: Path, tmp_path: Path) -> None:
    """It deletes the demo, its documents too, and then nothing says that the database is the demo's."""
    connection.close()
    copytree(folder / "documents", tmp_path / "documents")
    with override_settings(MEDIA_ROOT=tmp_path / "documents"), own_database(connection.settings_dict["NAME"]):
        reset()
        assert not [path for path in (tmp_path / "documents").rglob("*") if path.is_file()]
        call_command("migrate", verbosity=0)
        assert stories.read() is None
        assert not Customer.objects.exists()
        make_customer("somebody")
        with pytest.raises(NotTheDemos):
            reset()
    assert Customer.objects.count() == TOLD


def test_production_has_no_demo(settings: Any) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="known password"):
        call_command("demo", no_serve=True)


def test_a_story_is_the_same_each_time_it_is_told() -> None:
    story = Story(NOW, 5_000, TOLD, MONTHS)
    first = [list(events_of(story, person, 1, 20)) for person in PEOPLE[:TOLD]]
    again = [list(events_of(story, person, 1, 20)) for person in PEOPLE[:TOLD]]
    assert first == again
    assert first != [
        list(events_of(Story(NOW, 5_000, TOLD, MONTHS, seed=2), person, 1, 20)) for person in PEOPLE[:TOLD]
    ]


def test_usage_grows_rests_at_weekends_and_differs_in_size() -> None:
    story = Story(NOW, 60_000, TOLD, MONTHS)
    usage = Usage.of(story, tuple(PEOPLE[:TOLD]))
    assert usage.total() >= 60_000
    months = [sum(usage.counts[person.code, index] for person in PEOPLE[:TOLD]) for index in range(MONTHS)]
    assert months == sorted(months)
    assert usage.counts["brightwater", 1] > 4 * usage.counts["parola", 1] > 0
    days = [event.time.weekday() for event in events_of(story, PEOPLE[0], 1, 5_000) if event.time]
    assert days.count(1) > 2 * days.count(6)


def test_the_month_in_progress_begins_with_its_first_bills() -> None:
    """On the morning of a first, the month before is still in progress: its day has not begun everywhere."""
    assert Story(datetime(2024, 3, 1, 13, 59, tzinfo=UTC), 1, 1).current == date(2024, 2, 1)
    assert Story(datetime(2024, 3, 1, 14, 0, tzinfo=UTC), 1, 1).current == date(2024, 3, 1)
    story = Story(datetime(2024, 3, 1, 14, 0, tzinfo=UTC), 1, 1)
    assert [story.month(0), story.month(12)] == [date(2023, 3, 1), date(2024, 3, 1)]
    assert story.index_of(date(2024, 2, 29)) == 11


def test_the_people_are_forty_in_three_currencies_and_many_zones() -> None:
    assert len({person.code for person in PEOPLE}) == len({person.legal_name for person in PEOPLE}) == 40
    assert {person.currency for person in PEOPLE} == {"USD", "EUR", "JPY"}
    assert len({person.timezone for person in PEOPLE}) > 20
    assert {change.code for change in CHANGES} <= {person.code for person in PEOPLE}


def test_a_price_in_dollars_stands_in_every_price_list() -> None:
    price = {"model": "graduated", "free_quantity": "1000", "tiers": [{"up_to": "50", "unit_amount": "0.0035"}]}
    lists = {each["currency"]: each for each in in_every_currency(price)}
    assert [lists[code]["tiers"][0]["unit_amount"] for code in ("USD", "EUR", "JPY")] == [
        "0.003500",
        "0.003220",
        "0.5250",
    ]
    assert {each["tiers"][0]["up_to"] for each in lists.values()} == {"50"}
    assert {each["free_quantity"] for each in lists.values()} == {"1000"}
