"""The pages of usage: the explorer with its file, events and their page, what arrives, and what counts for nobody."""

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from billing.metering.models import Meter
from billing.metering.rollups.services import catch_up
from config import clock
from customers.models import UsageSubject
from tests import factories
from tests.admin.conftest import NOW, ROLES

pytestmark = pytest.mark.django_db
NOVEMBER = {"preset": "custom", "first": "2023-11-01", "last": "2023-11-30"}


@pytest.fixture(params=[False, True], ids=["pending", "rolled up"])
def rolled_up(request: Any) -> Any:
    """Every answer is the same whether the events are pending or counted already."""
    return catch_up if request.param else lambda: None


@pytest.fixture
def usage(db: None) -> Any:
    """Two customers with a meter by model; one event cannot be read, one subject is nobody's."""
    meter = factories.make_meter(group_by=["model"])
    acme, beta = factories.make_customer("acme", timezone="Asia/Kathmandu"), factories.make_customer("beta")
    factories.send_events([
        {"id": "a1", "subject": "acme", "time": "2023-11-05T08:00:00Z",
         "data": {"tokens": 7, "model": "l", "eu": True}},
        {"id": "a2", "subject": "acme", "time": "2023-11-05T18:20:00Z", "data": {"tokens": "0.5", "model": "s"}},
        {"id": "a3", "subject": "acme", "time": "2023-11-06T08:00:00Z", "data": {"tokens": "many", "model": "s"}},
        {"id": "b1", "subject": "beta", "time": "2023-11-06T09:00:00Z", "data": {"tokens": 20}},
        {"id": "x1", "subject": "stranger", "time": "2023-11-07T09:00:00Z", "data": {"tokens": 5, "model": "l"}},
        {"id": "y1", "subject": "acme", "type": "login", "time": "2023-11-07T09:00:00Z", "data": {}},
    ])  # fmt: skip
    return {"meter": meter, "acme": acme, "beta": beta}


@pytest.fixture
def in_2023(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages ask what time it is."""
    monkeypatch.setattr(clock, "now", lambda: NOW)


def shown(page: Any) -> dict[str, list[str]]:
    """The rows of the explorer's table that have something in them, by label."""
    rows = {row["label"]: [cell["text"] for cell in row["cells"]] for row in page.context["rows"]}
    return {label: cells for label, cells in rows.items() if set(cells) != {"0"}}


def test_it_works(sign_in: Any, usage: Any, rolled_up: Any) -> None:
    rolled_up()
    page = sign_in("Engineer").get(reverse("admin:billing_usage"), NOVEMBER)
    assert page.context["names"] == [str(usage["beta"]), str(usage["acme"])]
    assert shown(page) == {"2023-11-05": ["0", "7.5"], "2023-11-06": ["20", "0"]}
    assert page.context["whole_total"] == "27.5"
    assert [cell["text"] for cell in page.context["whole"]] == ["20", "7.5"]
    assert [row["invalid"] for row in page.context["rows"]].count("1") == 1


def test_days_are_cut_in_the_customers_time_zone_when_there_is_one(sign_in: Any, usage: Any, rolled_up: Any) -> None:
    rolled_up()
    page = sign_in("Auditor").get(reverse("admin:billing_usage"), NOVEMBER | {"customers": usage["acme"].pk})
    assert page.context["asked"].timezone == "Asia/Kathmandu"
    assert shown(page) == {"2023-11-05": ["7"], "2023-11-06": ["0.5"]}


@pytest.mark.parametrize(("by", "slow"), [("model", False), ("eu", True)])
def test_values_of_a_property_are_columns(by: str, slow: bool, sign_in: Any, usage: Any, rolled_up: Any) -> None:
    rolled_up()
    page = sign_in("RevOps").get(reverse("admin:billing_usage"), NOVEMBER | {"by": by})
    names = dict(zip(page.context["names"], [cell["text"] for cell in page.context["whole"]], strict=True))
    assert names == ({"no model": "20", "l": "7", "s": "0.5"} if by == "model" else {"no eu": "20.5", "true": "7"})
    assert ("which is slower" in page.content.decode()) == slow


def test_what_does_not_add_up_is_never_added(sign_in: Any, usage: Any, rolled_up: Any) -> None:
    peak = factories.make_meter("peak", aggregation="max")
    rolled_up()
    page = sign_in("Finance").get(reverse("admin:billing_usage"), NOVEMBER | {"meter": peak.pk, "by": "model"})
    assert page.context["names"] == [f"{usage['beta']} · no model", f"{usage['acme']} · l", f"{usage['acme']} · s"]
    assert page.context["whole_total"] == "-"
    assert page.context["chart"]["type"] == "line"
    assert "do not add up" in page.content.decode()


def test_the_smaller_columns_are_one(sign_in: Any, usage: Any) -> None:
    for number in range(4):
        factories.make_customer(f"small-{number}")
        factories.send_events(
            subject=f"small-{number}", time="2023-11-06T10:00:00Z", data={"tokens": number + 1}
        )  # fmt: skip
    page = sign_in("RevOps").get(reverse("admin:billing_usage"), NOVEMBER | {"top": 3})
    assert page.context["table"].others == 3
    assert page.context["whole_other"] == "6"
    assert [row["other"] for row in page.context["rows"] if row["label"] == "2023-11-06"] == ["6"]
    assert page.context["whole_total"] == "37.5"


def test_of_very_many_customers_the_busiest_are_compared(
    sign_in: Any, usage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.metering.explorer.table.MANY", 1)
    monkeypatch.setattr("billing.metering.explorer.table.BUSIEST", 1)
    catch_up()
    page = sign_in("RevOps").get(reverse("admin:billing_usage"), NOVEMBER)
    assert page.context["names"] == [str(usage["acme"])]
    assert (page.context["table"].total, page.context["table"].other) == (None, None)
    assert "Of 2 customers those with most events are compared" in page.content.decode()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"preset": "custom", "first": "2023-12-01", "last": "2023-11-01"}, "ends before it begins"),
        ({"preset": "custom"}, "Give a date."),
        ({"window": "hour", "preset": "90"}, "choose a longer window"),
        ({"by": "a..b"}, "is no path to a property"),
    ],
)
def test_the_explorer_says_what_it_cannot_show(given: dict[str, str], sentence: str, sign_in: Any, usage: Any) -> None:
    assert sentence in sign_in("RevOps").get(reverse("admin:billing_usage"), given).content.decode()


def test_a_figure_leads_to_the_events_behind_it(sign_in: Any, usage: Any, rolled_up: Any) -> None:
    rolled_up()
    client = sign_in("Engineer")
    page = client.get(reverse("admin:billing_usage"), NOVEMBER | {"by": "model"})
    rows = {row["label"]: row["cells"] for row in page.context["rows"]}
    place = page.context["names"].index("l")
    behind = client.get(rows["2023-11-05"][place]["url"])
    assert [(row["event"].id, row["counts"]) for row in behind.context["rows"]] == [("a1", "7")]
    invalid = next(row["invalid_url"] for row in page.context["rows"] if row["invalid_url"])
    (only,) = client.get(invalid).context["rows"]
    assert only["event"].id == "a3"
    assert "is not a number" in only["counts"]


def test_events_come_a_page_at_a_time_newest_first(sign_in: Any, usage: Any) -> None:
    factories.send_events(
        {"id": f"t{n:03d}", "subject": "acme", "time": "2023-11-09T08:00:00Z", "data": {"tokens": n}}
        for n in range(120)
    )
    client, url = sign_in("RevOps"), reverse("admin:billing_usage_events")
    query, seen = f"?meter={usage['meter'].pk}&customers={usage['acme'].pk}", []
    while query:
        page = client.get(url + query)
        seen += [row["event"].id for row in page.context["rows"]]
        query = page.context["older"]
    assert seen == [*(f"t{n:03d}" for n in reversed(range(120))), "a3", "a2", "a1"]


def test_the_file_is_exact_and_no_cell_is_a_formula(sign_in: Any, usage: Any) -> None:
    factories.make_customer("evil", legal_name='=HYPERLINK("x")', subject="evil")
    factories.send_events(
        subject="evil", time="2023-11-06T10:00:00Z",
        data={"tokens": "-12345678901234567890.123456789", "model": "@SUM(A1)"},
    )  # fmt: skip
    answer = sign_in("Finance").get(reverse("admin:billing_usage"), NOVEMBER | {"by": "model", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert answer["Content-Disposition"].startswith('attachment; filename="usage-tokens-2023-11-01')
    assert len(rows) == 5
    evil = next(row for row in rows if row["customer"] == "evil")
    assert (evil["name"], evil["model"]) == ('\'=HYPERLINK("x")', "'@SUM(A1)")
    assert evil["quantity"] == "-12345678901234567890.123456789"
    assert evil["start"] == "2023-11-06T00:00:00+00:00"


def test_the_ways_into_the_explorer(sign_in: Any, business: Any) -> None:
    client = sign_in("RevOps")
    page = client.get(reverse("admin:billing_customer_usage", args=[business.customer.pk]) + "?month=2023-11")
    assert page.context["totals"][0]["total"] == "7"
    asked = parse_qs(urlsplit(page.context["totals"][0]["url"]).query)
    assert (asked["first"], asked["last"]) == (["2023-11-01"], ["2023-11-30"])
    invoice = client.get(reverse("admin:billing_invoice_change", args=[business.issued[0].pk])).content.decode()
    assert (
        f"meter={business.meter.pk}&amp;customers={business.customer.pk}&amp;preset=custom&amp;first=2023-11-01"
        in invoice
    )
    meter = client.get(reverse("admin:billing_meter_open_usage", args=[business.meter.pk]))
    assert meter["Location"] == f"{reverse('admin:billing_usage')}?meter={business.meter.pk}"


def event_page(client: Any, event_id: str, source: str = "test") -> Any:
    return client.get(reverse("admin:billing_event"), {"source": source, "id": event_id})


def test_an_event_shows_its_body_its_meters_and_its_customer(sign_in: Any, usage: Any) -> None:
    factories.make_meter("calls", aggregation="count", value="", filters={"model": ["s"]})
    page = event_page(sign_in("Engineer"), "a2")
    assert page.context["customer"] == usage["acme"]
    counts = {row["meter"].code: row["counts"] for row in page.context["meters"]}
    assert counts == {"tokens": "0.5", "calls": "1"}
    assert '"tokens": "0.5"' in page.context["pretty"]
    assert json.loads(page.context["raw"])["data"] == {"tokens": "0.5", "model": "s"}
    unread = event_page(sign_in("admin"), "a3").content.decode()
    assert "is not a number" in unread
    assert "No meter counts events of type login" in event_page(sign_in("RevOps"), "y1").content.decode()


def test_an_event_that_nobody_sent_is_not_found(sign_in: Any, usage: Any) -> None:
    client = sign_in("Engineer")
    assert event_page(client, "nothing").status_code == 404
    assert event_page(client, "a1", source="elsewhere").status_code == 404


def test_an_event_is_found_by_its_id_or_a_part_of_its_subject(sign_in: Any, usage: Any) -> None:
    client, url = sign_in("Engineer"), reverse("admin:billing_event_search")
    assert client.get(url, {"q": "b1"})["Location"] == f"{reverse('admin:billing_event')}?source=test&id=b1"
    factories.send_events(id="b1", subject="beta", time="2023-11-06T09:00:00Z", data={}, source="other")
    page = client.get(url, {"q": "b1"})
    assert {row["event"].source for row in page.context["rows"]} == {"test", "other"}
    (name, listed), *more = client.get(url, {"q": "RANGER"}).context["subjects"]
    assert (name, more) == ("stranger", [])
    assert [row["event"].id for row in client.get(listed).context["rows"]] == ["x1"]


def card_of(page: Any) -> Any:
    return next(card.content for card in page.context["cards"] if card.title == "Invoice lines")


def test_an_event_names_the_invoice_line_that_billed_it(sign_in: Any) -> None:
    factories.make_subscription(
        factories.make_contract(factories.make_customer("buyer")), factories.make_version(factories.usage())
    )
    at = datetime(2023, 11, 10, tzinfo=UTC)
    factories.send_events(id="e", subject="buyer", time=at.isoformat(), data={"tokens": 7}, now=at)
    client = sign_in("Finance")
    assert "Not billed yet" in event_page(client, "e").content.decode()
    factories.bill("2023-12-01", now=datetime(2023, 12, 1, tzinfo=UTC))
    assert [row["says"] for row in card_of(event_page(client, "e"))["rows"]] == ["Would bill it"]
    factories.bill_and_issue("2023-12-01", now=datetime(2023, 12, 1, 9, tzinfo=UTC))
    card = card_of(event_page(client, "e"))
    assert [(row["invoice"], row["amount"], row["says"]) for row in card["rows"]] == [
        ("ACME-000001", "USD 0.07", "Billed it")
    ]


def test_a_late_event_is_billed_by_the_adjustment(sign_in: Any, business: Any) -> None:
    late = datetime(2024, 1, 6, tzinfo=UTC)
    factories.send_events(
        id="late", subject="buyer-0", time="2023-11-12T08:00:00Z", data={"tokens": 100}, now=late
    )  # fmt: skip
    client = sign_in("Finance")
    card = card_of(event_page(client, "late"))
    assert ([row["says"] for row in card["rows"]], card["billed"]) == (["Came before it"], False)
    factories.bill("2024-02-01", now=datetime(2024, 2, 1, tzinfo=UTC))
    card = card_of(event_page(client, "late"))
    assert [(row["amount"], row["says"]) for row in card["rows"]] == [
        ("USD 0.07", "Came before it"), ("USD 1.00", "Would bill it")
    ]  # fmt: skip


def test_an_event_without_subscription_is_not_billed(sign_in: Any, usage: Any) -> None:
    client = sign_in("Finance")
    assert "No subscription of the customer prices it" in event_page(client, "a1").content.decode()
    assert "No meter counts it for a customer" in event_page(client, "x1").content.decode()
    assert "Invoice lines" not in event_page(sign_in("Engineer"), "a1").content.decode()


def live(client: Any, **given: Any) -> Any:
    return client.get(reverse("admin:billing_usage_live_events"), given).json()


def test_arriving_events_are_told_with_their_fate(sign_in: Any, usage: Any) -> None:
    client = sign_in("Engineer")
    first = live(client)
    fates = {row["id"]: [word for word, _ in row["fate"]] for row in first["events"]}
    assert fates == {
        "a1": ["Counted"], "a2": ["Counted"], "a3": ["Invalid"], "b1": ["Counted"], "x1": ["No customer"],
        "y1": ["No meter"],
    }  # fmt: skip
    batches = first["batches"]
    assert live(client, after=batches[0], seen=",".join(map(str, batches)))["events"] == []
    factories.send_events(id="new", subject="beta", time="2023-11-08T09:00:00Z", data={"tokens": 1})
    answer = live(client, after=batches[0], seen=",".join(map(str, batches)))
    assert [(row["id"], row["counts"]) for row in answer["events"]] == [("new", ["tokens: 1"])]


def test_a_batch_that_commits_behind_the_highest_number_is_still_seen(sign_in: Any, usage: Any) -> None:
    client = sign_in("Engineer")
    batches = live(client)["batches"]
    answer = live(client, after=batches[0] + 100, seen="")
    assert answer["batches"] == batches


def test_many_events_are_a_sample_and_a_count(sign_in: Any, usage: Any) -> None:
    factories.send_events(
        {"subject": "beta", "time": "2023-11-08T09:00:00Z", "data": {"tokens": 1}} for _ in range(200)
    )  # fmt: skip
    answer = live(sign_in("Engineer"))
    assert (answer["count"], len(answer["events"])) == (206, 50)


@pytest.mark.parametrize(
    ("narrow", "ids"),
    [({"type": "login"}, ["y1"]), ({"subject": "stra"}, ["x1"]), ({"subject": "%"}, []), ({"key": "9"}, [])],
)
def test_the_tail_is_narrowed(narrow: dict[str, str], ids: list[str], sign_in: Any, usage: Any) -> None:
    assert [row["id"] for row in live(sign_in("Engineer"), **narrow)["events"]] == ids


def test_what_counts_for_nobody_is_counted_to_the_instant(
    sign_in: Any, usage: Any, rolled_up: Any, in_2023: None
) -> None:
    noon = datetime(2023, 11, 10, 12, tzinfo=UTC)
    UsageSubject.objects.create(customer=usage["beta"], subject="cut", valid_from=noon)
    factories.send_events(
        {"subject": "cut", "time": f"2023-11-{day}T{hour}:00:00Z", "data": {"tokens": 1}}
        for day, hour in (("09", "08"), ("10", "11"), ("10", "12"), ("11", "00"))
    )
    rolled_up()
    page = sign_in("Auditor").get(reverse("admin:billing_unmatched"))
    found = {row.name: (row.events, row.first.day, row.last.hour) for row, _ in page.context["subjects"]}
    assert found == {"cut": (2, 9, 11), "stranger": (1, 7, 9)}
    assert [(row.name, row.events) for row in page.context["types"]] == [("login", 1)]
    ((unread, _, latest),) = page.context["unreadable"]
    assert (unread.meter, unread.events, unread.event_id) == (usage["meter"], 1, "a3")
    assert "is not a number" in unread.reason
    assert latest.endswith("source=test&id=a3")


def test_a_claim_is_shown_before_it_is_made(sign_in: Any, business: Any, in_2023: None) -> None:
    factories.send_events(subject="stranger", time="2023-11-20T08:00:00Z", data={"tokens": 300})
    client, url = sign_in("RevOps"), reverse("admin:billing_unmatched")
    assert "Claim stranger for a customer" in client.get(f"{url}?claim=stranger").content.decode()
    page = client.post(url, {"subject": "stranger", "customer": business.customer.pk})
    assert (page.context["gained"].events, page.context["gained"].types) == (2, ("inference",))
    effects = [
        (f"{row['effect'].month:%Y-%m}", row["before"], row["after"], row["change"]) for row in page.context["effects"]
    ]
    assert effects == [("2023-11", "7", "307", "+300"), ("2023-12", "0", "1", "+1")]
    (card,) = page.context["cards"]
    assert [(row["days"], row["before"], row["after"], row["amount"]) for row in card.content["rows"]] == [
        ("2023-11-01 – 2023-11-30", "USD 0.07", "USD 3.07", "USD 3.00")
    ]
    assert not UsageSubject.objects.filter(subject="stranger").exists()
    done = client.post(url, {"subject": "stranger", "customer": business.customer.pk, "confirm": "1"})
    assert done.status_code == 302
    assert UsageSubject.objects.get(subject="stranger").customer == business.customer
    assert "count for" in " ".join(map(str, get_messages(done.wsgi_request)))


def test_a_claim_from_a_day_on_leaves_what_was_before(sign_in: Any, business: Any, in_2023: None) -> None:
    factories.send_events(subject="stranger", time="2023-11-20T08:00:00Z", data={"tokens": 300})
    page = sign_in("RevOps").post(
        reverse("admin:billing_unmatched"),
        {"subject": "stranger", "customer": business.customer.pk, "valid_from": "2023-12-01"},
    )
    assert page.context["gained"].events == 1
    assert page.context["given"]["valid_from"] == date(2023, 12, 1)
    assert page.context["cards"][0].content["rows"] == []


def test_what_was_refused_is_told_beside_what_arrived(sign_in: Any, usage: Any) -> None:
    now = clock.now()
    factories.send_events(id="a1", subject="acme", time="2023-11-05T08:00:00Z", data={"tokens": 9999}, now=now)
    factories.send_events(id="bad", subject="acme", time="never", data={}, now=now)
    client = sign_in("admin")
    told = {row["fate"][0][0]: row for row in live(client)["refused"]}
    assert (told["Conflict"]["id"], told["Conflict"]["subject"]) == ("a1", "acme")
    assert told["Rejected"]["counts"][0].endswith("(1 in this hour)")
    assert [row["fate"][0][0] for row in live(client, subject="acm")["refused"]] == ["Conflict"]
    assert live(client, subject="beta")["refused"] == []
    assert live(client, since="2100-01-01T00:00:00Z")["refused"] != []


def test_an_address_with_a_nul_is_refused(sign_in: Any, usage: Any) -> None:
    client = sign_in("Engineer")
    assert event_page(client, "a\0").status_code == 400
    assert client.get(reverse("admin:billing_usage_events"), {"subject": "a\0"}).status_code == 400


PAGES = (
    "billing_usage",
    "billing_usage_events",
    "billing_event_search",
    "billing_usage_live",
    "billing_usage_live_events",
)


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_the_pages_open_for_those_who_see_usage(role: str, sign_in: Any, usage: Any) -> None:
    client = sign_in(role)
    answers = {client.get(reverse(f"admin:{page}")).status_code for page in PAGES} | {
        event_page(client, "a1").status_code
    }
    assert answers == {403 if role == "nobody" else 200}


def test_a_fresh_installation_has_empty_pages_that_say_what_to_do(sign_in: Any) -> None:
    client = sign_in("admin")
    assert "Create a meter first" in client.get(reverse("admin:billing_usage")).content.decode()
    meter = Meter.objects.create(code="calls", name="Calls", event_type="call", aggregation="count")
    assert "counted nothing in this time" in client.get(reverse("admin:billing_usage")).content.decode()
    assert "No events" in client.get(reverse("admin:billing_usage_events"), {"meter": meter.pk}).content.decode()
    inbox = client.get(reverse("admin:billing_unmatched")).content.decode()
    assert "Every subject is claimed." in inbox
    assert "Every meter reads all of its events." in inbox
