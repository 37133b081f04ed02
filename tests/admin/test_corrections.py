"""Correcting usage in the admin: the effect is shown first, two tabs cannot do it twice, and it can be undone."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from billing.metering.corrections import services
from billing.metering.corrections.models import Correction
from billing.metering.services import ingest
from billing.metering.validate import new_event
from tests import factories
from tests.admin.conftest import NOW

pytestmark = pytest.mark.django_db
PAGE = reverse("admin:billing_correction_add")
ASKED = {
    "kind": "replace", "subject": "buyer-0", "start": "2023-11-01T00:00:00Z", "end": "2023-12-01T00:00:00Z",
    "new_data": '{"tokens": 1007}', "reason": "The gateway counted in thousands.",
}  # fmt: skip


def shown(answer: Any) -> str:
    return str(answer.content.decode())


def test_it_works(business: SimpleNamespace, sign_in: Any) -> None:
    client = sign_in("RevOps")
    page = shown(client.post(PAGE, ASKED))
    assert "1 event, 2023-11-10 08:00 to 2023-11-10 08:00 UTC" in page
    assert "1,007" in page
    assert "USD 10.00" in page  # 1,000 tokens more at USD 0.01, in a month that was invoiced
    assert not Correction.objects.exists()
    answer = client.post(PAGE, ASKED | {"confirm": "1"}, follow=True)
    made = Correction.objects.get()
    assert (made.kind, made.events, made.created_by.username) == ("replace", 1, "revops")
    assert answer.redirect_chain[-1][0] == reverse("admin:billing_correction_change", args=[made.pk])
    (draft,) = factories.bill("2024-01-02", business.contract, now=NOW)
    assert [line.amount for line in draft.lines.filter(corrects__isnull=False)] == [10]


def test_a_second_tab_that_confirms_what_is_done_changes_nothing(business: SimpleNamespace, sign_in: Any) -> None:
    client = sign_in("RevOps")
    void = {**ASKED, "kind": "void", "new_data": ""}
    client.post(PAGE, void | {"confirm": "1"})
    assert "No event that counts meets these criteria" in shown(client.post(PAGE, void | {"confirm": "1"}))
    assert Correction.objects.count() == 1


def test_other_events_than_those_shown_are_not_corrected(business: SimpleNamespace, sign_in: Any) -> None:
    factories.send_events(subject="buyer-0", time="2023-11-11T00:00:00Z", data={"tokens": 1})
    page = shown(sign_in("RevOps").post(PAGE, ASKED | {"confirm": "1"}))
    assert "1 events were shown, and 2 meet the criteria now" in page
    assert not Correction.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"new_data": "{"}, "is no JSON"),
        ({"new_data": ""}, "A replacement changes something"),
        ({"start": "", "end": ""}, "Name ids, a period"),
        ({"start": "March"}, "Write start as a time"),
        ({"ids": "1"}, "name the source"),
        ({"reason": ""}, "This field is required"),
        ({"filters": '{"region": []}'}, "No values are listed"),
        ({"confirm": "many"}, "invalid literal"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    business: SimpleNamespace, sign_in: Any, wrong: dict[str, str], why: str
) -> None:
    assert why in shown(sign_in("RevOps").post(PAGE, ASKED | wrong))
    assert not Correction.objects.exists()


def test_it_is_undone_with_a_reason(business: SimpleNamespace, sign_in: Any) -> None:
    client = sign_in("RevOps")
    client.post(PAGE, ASKED | {"confirm": "1"})
    made = Correction.objects.get()
    page = shown(client.get(reverse("admin:billing_correction_change", args=[made.pk])))
    assert "The gateway counted in thousands." in page
    services.undo(correction=made, reason="It did not.", user=None, now=NOW)
    assert "Undone" in shown(client.get(reverse("admin:billing_correction_changelist")))


def test_a_backfill_shows_what_counts_of_it(business: SimpleNamespace, sign_in: Any) -> None:
    backfill = services.make_backfill(name="November", reason="lost", user=None, now=NOW)
    event = new_event(
        id="old", type="inference", subject="buyer-0", data={"tokens": 3}, time=NOW.replace(year=2023, month=11)
    )
    ingest(events=[event], origin="test", default_source="test", now=NOW, backfill_id=backfill.pk)
    client = sign_in("Finance")
    page = shown(client.get(reverse("admin:billing_backfill_change", args=[backfill.pk])))
    assert "November" in page
    assert "2023-11-05 12:00" in page
    assert "Counts" in shown(client.get(reverse("admin:billing_backfill_changelist")))


@pytest.mark.parametrize(("role", "status"), [("RevOps", 200), ("Engineer", 200), ("Finance", 403), ("nobody", 403)])
def test_those_who_may_correct(business: SimpleNamespace, sign_in: Any, role: str, status: int) -> None:
    assert sign_in(role).get(PAGE).status_code == status


def test_an_error_is_no_message_of_success(business: SimpleNamespace, sign_in: Any) -> None:
    answer = sign_in("RevOps").post(PAGE, ASKED | {"subject": "nobody"})
    assert list(get_messages(answer.wsgi_request)) == []
