"""Trials and pauses on the page of a subscription; renewal and notice on that of a contract."""

from datetime import date
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.models import Subscription
from billing.catalog.renewals.models import Renewal
from customers.models import Contract
from tests.factories import make_contract, make_subscription

pytestmark = pytest.mark.django_db


def shown(client: Any, subscription: Subscription) -> str:
    return client.get(reverse("admin:billing_subscription_change", args=[subscription.pk])).content.decode()


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def submit(client: Any, subscription: Subscription, kind: str, **fields: str) -> Any:
    return client.post(reverse("admin:billing_free_add", args=[subscription.pk, kind]), {"reason": "Mail"} | fields)


def stop(client: Any, subscription: Subscription, verb: str, **fields: str) -> Any:
    free = SubscriptionFreeTime.objects.get(undone_at=None)
    where = reverse("admin:billing_free_stop", args=[subscription.pk, free.pk, verb])
    assert client.get(where).status_code == 200
    return client.post(where, {"reason": "Mail"} | fields)


def test_a_trial_is_started_ended_and_undone(sign_in: Any) -> None:
    subscription, client = make_subscription(), sign_in("RevOps")
    assert "None: the fee runs from the first day on." in shown(client, subscription)
    answer = submit(client, subscription, "trial", end="2023-12-01", usage_free="on")
    assert answer["Location"] == reverse("admin:billing_subscription_change", args=[subscription.pk])
    assert said(answer) == "Trial: recorded. The next billing run counts it."
    for text in ("Trial", "2023-12-01", "not charged", "free", "revops"):
        assert text in shown(client, subscription)
    stop(client, subscription, "end", at="2023-11-20")
    assert "2023-11-20" in shown(client, subscription)
    stop(client, subscription, "undo")
    assert SubscriptionFreeTime.objects.filter(undone_at=None).count() == 0


def test_what_cannot_be_stands_on_the_form(sign_in: Any) -> None:
    subscription, client = make_subscription(), sign_in("RevOps")
    assert submit(client, subscription, "pause", start="2023-12-01", end="2024-01-01").status_code == 302
    page = submit(client, subscription, "pause", start="2023-12-05").content.decode()
    assert "end or undo that one first" in page
    assert "This field is required" in submit(client, subscription, "trial").content.decode()
    assert client.get(reverse("admin:billing_free_add", args=[subscription.pk, "nap"])).status_code == 404


@pytest.mark.parametrize("role", ["Finance", "Auditor", "Engineer"])
def test_only_who_may_subscribe_starts_a_pause(sign_in: Any, role: str) -> None:
    subscription = make_subscription()
    assert submit(sign_in(role), subscription, "pause", start="2023-12-01").status_code == 403
    assert SubscriptionFreeTime.objects.count() == 0


def press(client: Any, contract: Contract, step: str, **fields: str) -> Any:
    return client.post(
        reverse(f"admin:customers_contract_{step}", args=[contract.pk]), {"_form_submitted": "True"} | fields
    )


def test_a_contract_is_renewed_and_notice_of_it_recorded(sign_in: Any) -> None:
    contract, client = make_contract(end=date(2024, 11, 1)), sign_in("RevOps")
    make_subscription(contract)
    press(client, contract, "renew", end="2025-11-01", uplift="3")
    renewal = Renewal.objects.get()
    assert (renewal.end, renewal.recorded_by.username) == (date(2025, 11, 1), "revops")
    page = client.get(reverse("admin:customers_contract_change", args=[contract.pk])).content.decode()
    assert "From 2024-11-01 until 2025-11-01, 3 % more, by revops" in page
    press(client, contract, "notice", on="2025-05-01")
    contract.refresh_from_db()
    assert contract.notice_on == date(2025, 5, 1)


def test_a_contract_without_an_end_has_nothing_to_renew(sign_in: Any) -> None:
    contract, client = make_contract(), sign_in("RevOps")
    page = client.get(reverse("admin:customers_contract_change", args=[contract.pk])).content.decode()
    assert "Renew this contract" not in page
    assert "Renewed" in page


def test_listed_dates_are_written_on_the_form_and_later_ones_added(sign_in: Any) -> None:
    contract, client = (
        make_contract(cadence="dates", billing_dates=[date(2024, 1, 1), date(2024, 3, 1)]),
        sign_in("RevOps"),
    )
    url = reverse("admin:customers_contract_change", args=[contract.pk])
    form = client.get(url).context["adminform"].form
    fields = {name: form[name].value() for name in form.fields}
    assert fields["billing_dates"] == "2024-01-01,2024-03-01"
    given = {name: "" if value is None else value for name, value in fields.items()}
    inlines = {f"{prefix}-{key}": "0" for prefix in ("subscriptions",) for key in ("TOTAL_FORMS", "INITIAL_FORMS")}
    wrong = client.post(url, given | inlines | {"billing_dates": "2024-01-02, 2024-03-01"})
    assert "Add later ones after the last" in wrong.content.decode()
    assert (
        client.post(url, given | inlines | {"billing_dates": "2024-01-01, 2024-03-01, 2024-05-01"}).status_code == 302
    )
    contract.refresh_from_db()
    assert contract.billing_dates[-1] == date(2024, 5, 1)
