"""The pages of meters: the form and its preview, versions, and who may do what."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.builder.forms import ChargeForm
from billing.catalog.models import Charge
from billing.metering.meters.services import revise_meter
from billing.metering.models import Meter
from tests import factories

pytestmark = pytest.mark.django_db
ADD = "admin:billing_meter_add"
PREVIEW = "admin:billing_meter_preview"


def filled(*rows: tuple[str, str, str], **fields: Any) -> dict[str, Any]:
    """The form as a browser sends it; `rows` are filters."""
    given = {"name": "Calls", "code": "calls", "event_type": "call", "aggregation": "sum", "value": "n",
             "unit": "call", "group_by": "", "rounding_mode": "", "rounding_places": ""}  # fmt: skip
    columns = zip(*[*rows, ("", "is", "")], strict=True)
    names = ("filters-property", "filters-condition", "filters-values")
    return given | {name: list(cells) for name, cells in zip(names, columns, strict=True)} | fields


def test_it_works(sign_in: Any) -> None:
    rows = [("region", "is", "eu, us"), ("seconds", "gte", "1.5"), ("test", "missing", "")]
    form = filled(*rows, value="ceil(n / 60)", group_by="model, region", rounding_mode="up", rounding_places="1",
                  recurring="on")  # fmt: skip
    assert sign_in("Engineer").post(reverse(ADD), form).status_code == 302
    made = Meter.objects.get(code="calls")
    assert made.written() == {
        "aggregation": "sum",
        "value": "ceil(n / 60)",
        "filters": {"region": ["eu", "us"], "seconds": {"gte": "1.5"}, "test": {"exists": False}},
        "group_by": ["model", "region"],
        "recurring": True,
        "rounding": {"mode": "up", "places": 1},
    }


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"value": "n +"}, "At character 4: the end stands where a number, a property"),
        ({"value": ""}, "name a property such as tokens"),
        ({"operation": "op"}, "Only a unique_count adds and removes"),
        ({"prorate": "on"}, "Only a recurring sum or unique_count is prorated"),
        ({"group_by": "a, a"}, "The dimension a is named twice"),
        ({"rounding_places": "2"}, "Choose how to round"),
        ({"aggregation": ""}, "This field is required"),
        ({"event_type": ""}, "This field is required"),
        ({"code": "taken"}, "There is a meter of this code"),
    ],
)
def test_each_problem_stands_at_its_field(fields: dict[str, Any], sentence: str, sign_in: Any) -> None:
    factories.make_meter("taken")
    answer = sign_in("Engineer").post(reverse(ADD), filled(**fields))
    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not Meter.objects.filter(code="calls").exists()


def test_a_row_of_filters_that_cannot_be_kept_comes_back_as_typed(sign_in: Any) -> None:
    page = sign_in("Engineer").post(reverse(ADD), filled(("region", "is", ""), ("tier", "gt", "many"))).content.decode()
    assert "The filter on region lists no values" in page
    assert 'value="many"' in page


def test_what_is_saved_comes_back_in_the_form(sign_in: Any) -> None:
    engineer = sign_in("Engineer")
    engineer.post(reverse(ADD), filled(("region", "not", 'eu, "1"'), group_by="model, region", rounding_mode="down"))
    page = engineer.get(reverse("admin:billing_meter_change", args=[Meter.objects.get().pk])).content.decode()
    for piece in ('value="region"', 'value="eu, &quot;1&quot;"', 'value="model, region"', 'value="down" selected'):
        assert piece in page


def preview(client: Any, *rows: tuple[str, str, str], **fields: Any) -> str:
    answer = client.post(reverse(PREVIEW), filled(*rows, **fields), headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 200
    return str(answer.content.decode())


def send(*data: dict[str, Any], subject: str = "acme") -> None:
    factories.send_events(
        {"subject": subject, "type": "call", "time": f"2023-11-10T08:00:{place:02}Z", "data": each}
        for place, each in enumerate(data)
    )


def test_the_preview_shows_what_would_count_and_why_not(sign_in: Any) -> None:
    factories.make_customer("acme", legal_name="Acme Inc.")
    send({"n": 1200, "region": "eu"}, {"n": "?", "region": "eu"}, {"n": 4, "region": "us"}, {"n": 800, "region": "eu"})
    page = preview(sign_in("Engineer"), ("region", "is", "eu"), value="2 * n", name="", code="")
    assert "<strong>2</strong> of the last 4 events of type “call” would count." in page
    assert "The property n is not a number of at most 40 digits." in page
    assert "It does not pass the filter on region." in page
    assert "Acme Inc." in page
    assert '<td class="num">4,000</td>' in page
    assert Meter.objects.count() == 0


def test_the_preview_says_what_is_wrong_with_an_expression_and_where(sign_in: Any) -> None:
    send({"n": 1})
    page = preview(sign_in("Engineer"), value=" n + * 2")
    assert "At character 5: &#x27;*&#x27; stands where" in page
    assert "n + * 2\n    ^" in page
    assert "mb-property" in page


def test_the_preview_speaks_where_there_is_nothing_to_show(sign_in: Any) -> None:
    engineer = sign_in("Engineer")
    assert "Name an event type" in preview(engineer, event_type="")
    assert "No event of type “call” was found." in preview(engineer)


def test_without_a_script_the_preview_is_a_page_of_its_own(sign_in: Any) -> None:
    send({"n": 5})
    answer = sign_in("Engineer").post(reverse(PREVIEW), filled())
    assert "Nothing is saved." in answer.content.decode()
    assert "<strong>1</strong> of the last 1 event of type" in answer.content.decode()


def test_only_those_who_may_change_meters_see_a_preview(sign_in: Any) -> None:
    assert sign_in("Auditor").post(reverse(PREVIEW), filled()).status_code == 403
    assert sign_in("Engineer").get(reverse(PREVIEW)).status_code == 405


@pytest.mark.parametrize("events", [5, 50])
def test_a_preview_costs_the_same_queries_however_many_events_it_shows(events: int, sign_in: Any) -> None:
    engineer = sign_in("Engineer")
    for number in range(events):
        factories.make_customer(f"buyer-{number}")
        send({"n": number}, subject=f"buyer-{number}")
    preview(engineer)
    with CaptureQueriesContext(connection) as queries:
        preview(engineer)
    assert len(queries) == 23


def test_a_new_meter_may_be_made_from_a_type(sign_in: Any) -> None:
    send({"n": 1})
    page = sign_in("Engineer").get(reverse(ADD) + "?event_type=call").content.decode()
    assert '<option value="call"></option>' in page
    assert 'value="call"' in page.split('id="event-types"')[0]


def test_editing_a_meter_in_use_makes_a_version(sign_in: Any, business: Any) -> None:
    engineer = sign_in("Engineer")
    url = reverse("admin:billing_meter_change", args=[business.meter.pk])
    page = engineer.get(url).content.decode()
    assert "saving makes version 2" in page
    assert 'name="code"' not in page
    form = filled(name="Tokens", event_type="inference", value="2 * tokens", unit="token", _continue="1")
    answer = engineer.post(url, form, follow=True)
    second = Meter.objects.get(version=2)
    assert answer.redirect_chain[-1][0].endswith(reverse("admin:billing_meter_change", args=[second.pk]))
    assert "this is version 2" in answer.content.decode()
    assert (second.value, Meter.objects.get(version=1).value) == ("2 * tokens", "tokens")
    old = engineer.get(url).content.decode()
    assert 'name="value"' not in old
    assert "A newer version took the place of this one" in old


def test_the_list_shows_current_versions_unless_it_is_asked_for_all(sign_in: Any, business: Any) -> None:
    engineer = sign_in("Engineer")
    engineer.post(
        reverse("admin:billing_meter_change", args=[business.meter.pk]),
        filled(name="Words", event_type="inference", value="words"),
    )
    url = reverse("admin:billing_meter_changelist")
    assert [row.version for row in engineer.get(url).context["cl"].queryset] == [2]
    assert [row.version for row in engineer.get(f"{url}?versions=all").context["cl"].queryset] == [2, 1]
    assert [row.version for row in engineer.get(f"{url}?versions=superseded").context["cl"].queryset] == [1]


def test_new_prices_are_offered_current_versions(sign_in: Any, business: Any) -> None:
    revops = sign_in("RevOps")
    Meter.objects.create(code="other", name="Other", event_type="call", aggregation="count")
    sign_in("Engineer").post(
        reverse("admin:billing_meter_change", args=[business.meter.pk]),
        filled(name="Tokens", event_type="inference", value="words"),
    )
    asked = {"app_label": "billing", "model_name": "charge", "field_name": "meter"}
    offered = revops.get(reverse("admin:autocomplete"), asked).json()["results"]
    assert [each["text"] for each in offered] == ["Other", "Tokens v2"]
    assert set(Charge.objects.filter(meter__isnull=False).values_list("meter__version", flat=True)) == {1}


def test_a_draft_may_keep_an_older_version_and_choose_only_the_current_one(business: Any) -> None:
    newer = revise_meter(meter=business.meter, changes={"value": "words"}, now=factories.NOW)
    kept = business.draft_version.charges.get(meter=business.meter)
    assert "meter" not in ChargeForm({"kind": "usage", "meter": business.meter.pk}, instance=kept).errors
    assert "meter" not in ChargeForm({"kind": "usage", "meter": newer.pk}).errors
    assert ChargeForm({"kind": "usage", "meter": business.meter.pk}).errors["meter"] == [
        "Tokens v1 was superseded by a newer version: choose that."
    ]
