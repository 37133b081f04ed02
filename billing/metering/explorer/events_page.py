"""Lists of events: those behind a figure of the explorer, those of a subject, and the search for one."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.metering import queries
from billing.metering.asking import BEGINNING, Claim
from billing.metering.explorer import events
from billing.metering.explorer.events import Mark, Stored
from billing.metering.explorer.forms import SearchForm
from billing.metering.explorer.judging import judged
from billing.metering.explorer.wording import badges_of, counted_text, event_url
from billing.metering.meters import Fragment, dimension
from billing.metering.models import EventSubject, Meter
from billing.metering.months.errors import MonthDetached
from billing.metering.properties import path_problem
from billing.periods import Period
from config import clock
from customers.models import Customer

SEES_EVENTS = ("customers.view_customer", "billing.view_meter", "billing.view_event")
PAGE = 50
SUBJECTS = 20


def may_see_events(request: HttpRequest) -> None:
    """Raise unless the user may see events, and unless the address is one that can be asked: text without NUL."""
    if not request.user.has_perms(SEES_EVENTS):
        raise PermissionDenied
    if any("\0" in value for _, values in request.GET.lists() for value in values):
        raise BadRequest("The address holds a NUL character, which no event can.")


def events_list(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """Events newest first, a page at a time, each with what the meter counts of it, or what became of it."""
    may_see_events(request)
    given = request.GET
    meter = Meter.objects.filter(pk=given["meter"]).first() if given.get("meter", "").isdecimal() else None
    period = _period(given.get("start"), given.get("end"))
    customers = list(Customer.objects.filter(pk__in=[pk for pk in given.getlist("customers") if pk.isdecimal()]))
    found, problem = _found(
        claims=_claims(given.get("subject"), customers), types=[meter.event_type] if meter else None,
        period=period, before=Mark.parse(given.get("before", "")), limit=PAGE + 1,
        now=clock.now(), where=_where(meter, given),
    )  # fmt: skip
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Events of {given['subject']}" if given.get("subject") else "Events",
        "meter": meter,
        "customers": customers,
        "subject": given.get("subject", ""),
        "start": period.start if period.start > BEGINNING else None,
        "end": period.end,
        "by": given.get("by", ""),
        "value": "none" if given.get("none") else given.get("value", ""),
        "only_invalid": given.get("only") == "invalid",
        "rows": _rows(found[:PAGE], meter),
        "problem": problem,
        "older": _page(request, found[PAGE - 1].mark) if len(found) > PAGE else "",
        "newest": _page(request, None) if given.get("before") else "",
    }
    return TemplateResponse(request, "billing/admin/events.html", context)


def _found(**asked: Any) -> tuple[list[Stored], str]:
    """The events, or why they cannot be read: their month lies in the archive."""
    try:
        return events.latest(**asked), ""
    except MonthDetached as error:
        return [], str(error)


def _claims(subject: str | None, customers: list[Customer]) -> list[Claim] | None:
    """Whose events are listed: a subject's, some customers', or (None) those of all customers."""
    if subject:
        return [(subject, Period(BEGINNING, None))]
    found = queries.claims_of([customer.pk for customer in customers])
    return [claim for claims in found.values() for claim in claims] if customers else None


def _where(meter: Meter | None, given: Any) -> Fragment:
    """What narrows the list: the meter's filters, a value of a property, and whether the meter can read the event."""
    if meter is None:
        return Fragment("")
    it = judged(meter)
    sql, values = it.filters.sql, it.filters.values
    if given.get("by") and not path_problem(given["by"]):
        value = dimension(given["by"])
        test = f"({value.sql}) IS NULL" if given.get("none") else f"({value.sql}) = %s"
        sql, values = (
            f"{sql} AND {test}",
            (*values, *value.values, *([] if given.get("none") else [given.get("value", "")])),
        )
    if given.get("only") == "invalid":
        sql += f" AND EXISTS (SELECT FROM (SELECT) one {it.lateral.sql} WHERE NOT ({it.valid}))"
        values = (*values, *it.lateral.values)
    return Fragment(sql, values)


def _rows(found: list[Stored], meter: Meter | None) -> list[dict[str, Any]]:
    """Each event with its address and fate."""
    fates = events.fates(found)
    rows = []
    for event in found:
        fate = fates[event.batch, event.n]
        verdict = next((each for each in fate.verdicts if each.meter == meter), None)
        rows.append({
            "event": event,
            "url": event_url(event.source, event.id),
            "fate": fate,
            "badges": badges_of(fate),
            "counts": counted_text(verdict) if verdict else "",
            "problem": fate.voided or bool(verdict and not verdict.counts),
        })  # fmt: skip
    return rows


def _period(start: str | None, end: str | None) -> Period:
    """The stretch that the address names; for what it does not name, all of time."""
    first, last = instant(start) or BEGINNING, instant(end)
    return Period(first, last if last and last >= first else None)


def instant(text: str | None) -> datetime | None:
    """The instant that a text names with its zone, None for any other text."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


def _page(request: HttpRequest, mark: Mark | None) -> str:
    """This list, from a mark on."""
    pairs = [(name, value) for name, values in request.GET.lists() for value in values if name != "before"]
    return f"?{urlencode([*pairs, *([('before', str(mark))] if mark else [])])}"


def search(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """Events of an id, whatever their source, and subjects that contain the text; one event alone opens at once."""
    may_see_events(request)
    form = SearchForm(request.GET)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    found, away = events.find(text) if text else ([], [])
    subjects = list(EventSubject.objects.filter(name__icontains=text).order_by("name")[: SUBJECTS + 1]) if text else []
    if len(found) == 1 and not subjects and not away:
        return HttpResponseRedirect(event_url(found[0].source, found[0].id))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Find an event",
        "form": form,
        "text": text,
        "rows": _rows(found, None),
        "away": away,
        "subjects": [(each.name, subject_url(each.name)) for each in subjects[:SUBJECTS]],
        "more_subjects": len(subjects) > SUBJECTS,
    }
    return TemplateResponse(request, "billing/admin/event_search.html", context)


def subject_url(name: str) -> str:
    """The list of a subject's events."""
    return f"{reverse('admin:billing_usage_events')}?{urlencode({'subject': name})}"
