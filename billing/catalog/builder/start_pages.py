"""“Start from a template”: the ready-made plans, and what starting from one would make."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path

from billing.catalog.builder.services import start_plan
from billing.catalog.builder.start_forms import StartForm
from billing.catalog.builder.starters import Starter, starter, starters
from billing.catalog.errors import CatalogError
from billing.catalog.wording import price_in_words
from billing.metering.errors import MeterError
from config import clock
from customers.backoffice import change_url

NEEDED = ("billing.add_plan", "billing.add_planversion", "billing.add_meter")


def urls(model_admin: Any) -> list[Any]:
    """Addresses below those of plans."""
    view, here = model_admin.admin_site.admin_view, {"model_admin": model_admin}
    return [
        path("start/", view(choose), here, name="billing_plan_start"),
        path("start/<slug:code>/", view(start), here, name="billing_plan_start_from"),
    ]


def choose(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The ready-made plans, with what each is for."""
    _check(request)
    context = {"title": "Start from a template", "starters": starters()}
    return _page(request, model_admin, "billing/admin/builder/starters.html", context)


def start(request: HttpRequest, code: str, model_admin: Any) -> HttpResponse:
    """What starting from one will make, to be named and confirmed."""
    _check(request)
    chosen = starter(code)
    if chosen is None:
        raise Http404(f"There is no ready-made plan “{code}”.")
    form = StartForm(request.POST or None, starter=chosen)
    if request.method == "POST" and form.is_valid():
        answer = _made(request, form, chosen)
        if answer is not None:
            return answer
    meters = [(form[f"meter-{meter.code}"], meter) for meter in chosen.meters]
    context = {"title": chosen.title, "starter": chosen, "form": form, "meters": meters, "charges": _charges(chosen)}
    return _page(request, model_admin, "billing/admin/builder/starter.html", context)


def _made(request: HttpRequest, form: StartForm, chosen: Starter) -> HttpResponse | None:
    """To the draft that was made; None when it could not be, with the reason on the form."""
    given = form.cleaned_data
    user: Any = request.user  # signed in: the page is guarded
    try:
        with transaction.atomic():
            version = start_plan(
                starter=chosen, meters=form.meters(), product=(given["product_code"], given["product_name"]),
                plan=(given["plan_code"], given["plan_name"]), today=clock.now().date(), user=user,
            )  # fmt: skip
    except (CatalogError, MeterError) as error:
        form.add_error(None, str(error))
        return None
    except IntegrityError:
        form.add_error(None, "Somebody made a meter or plan of the same code at this moment: press the button again.")
        return None
    messages.success(request, f"{version} is a draft: change its prices to yours, then publish it.")
    return HttpResponseRedirect(change_url(version))


def _charges(chosen: Starter) -> list[tuple[Any, str, list[str]]]:
    """Each charge, its meter's name, and its prices in words."""
    meters = {meter.code: meter for meter in chosen.meters}
    found = []
    for charge in chosen.plan.charges:
        meter = meters.get(charge.meter)
        unit = meter.unit if meter else charge.unit or "unit"
        words = [price_in_words(price, unit) for price in charge.prices]
        found.append((charge, meter.name if meter else "", words))
    return found


def _check(request: HttpRequest) -> None:
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied


def _page(request: HttpRequest, model_admin: Any, template: str, context: dict[str, Any]) -> HttpResponse:
    shared = model_admin.admin_site.each_context(request)
    return TemplateResponse(request, template, shared | {"opts": model_admin.opts} | context)
