"""The preview of a meter while it is edited: what it would make of the latest events of its type."""

from collections import Counter
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST

from billing.metering.errors import PreviewTooSlow
from billing.metering.expressions import ExpressionError, parse
from billing.metering.meters.forms import MeterForm
from billing.metering.meters.preview import properties, shares, try_meter
from billing.metering.meters.samples import claimants, latest_of
from customers.backoffice import quantity_text

_FIELDS = ("event_type", "aggregation", "value", "filters", "group_by", "operation", "recurring", "prorate",
           "rounding_mode", "rounding_places")  # fmt: skip


@require_POST
def preview(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The panel beside the form, as a piece of a page for the script that asks for it, else as a page of its own.

    It takes the form as it stands, and saves nothing.
    """
    if not (request.user.has_perm("billing.add_meter") or request.user.has_perm("billing.change_meter")):
        raise PermissionDenied
    form = MeterForm(request.POST)
    context = _tried(form)
    if request.headers.get("X-Requested-With") == "fetch":
        return TemplateResponse(request, "billing/admin/meter_preview.html", context)
    context |= model_admin.admin_site.each_context(request) | {"title": "What the meter would count"}
    return TemplateResponse(request, "billing/admin/meter_preview_page.html", context)


def _tried(form: MeterForm) -> dict[str, Any]:
    """What the form's meter makes of the latest events; problems with its fields, where it cannot count."""
    problems = {name: " ".join(map(str, form.errors[name])) for name in _FIELDS if name in form.errors}
    context: dict[str, Any] = {"problems": problems, "place": _place(form)}
    event_type = form.cleaned_data.get("event_type")
    if not event_type:
        return context
    context["event_type"] = event_type
    try:
        events = latest_of(event_type)
    except PreviewTooSlow as error:
        return context | {"slow": str(error)}
    context |= {"events": events, "properties": properties(events)}
    if problems or not events:
        return context
    definition = form.definition().definition()
    tried = try_meter(definition, events, claimants(events))
    return context | {
        "tried": tried,
        "counted": sum(each.counted for each in tried),
        "reasons": Counter(each.reason for each in tried if not each.counted).most_common(),
        "shares": [(share, quantity_text(share.quantity)) for share in shares(definition, tried)],
        "unit": form.cleaned_data.get("unit") or "units",
        "dimensions": definition.group_by,
        "reads_value": definition.value is not None,
    }


def _place(form: MeterForm) -> dict[str, str] | None:
    """Where an expression goes wrong: the text, and a mark below the character."""
    text = str(form.data.get("value", "")).strip()
    try:
        parse(text)
    except ExpressionError as error:
        return {"text": text, "mark": " " * (error.position - 1) + "^"} if text else None
    return None
