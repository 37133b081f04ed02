"""The page that says in words what changed between two versions."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing.catalog.models import Charge, PlanVersion
from billing.catalog.pages.forms import CompareForm
from billing.catalog.plan_diff import differences
from billing.catalog.plan_files import file_of, unit_names
from customers.backoffice import OfficeAdmin, badge

KINDS = {"added": "success", "removed": "danger", "changed": "info"}


def compare(request: HttpRequest, model_admin: OfficeAdmin) -> HttpResponse:
    """Choose two versions, and see each difference; the choice is in the address, so that it can be passed on."""
    if not request.user.has_perm("billing.view_planversion"):
        raise PermissionDenied
    form = CompareForm(request.GET if "new" in request.GET else None)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": "Compare versions",
        "opts": model_admin.opts,
        "form": form,
    }
    if form.is_bound and form.is_valid():
        context |= _compared(form.cleaned_data["old"], form.cleaned_data["new"])
    return TemplateResponse(request, "billing/admin/compare.html", context)


def _compared(old_id: str, new_id: str) -> dict[str, Any]:
    """Both versions and the rows of the table; the same number of queries whatever they charge."""
    found = {str(version.pk): version for version in _versions({int(key) for key in (old_id, new_id) if key})}
    old, new = found.get(old_id), found[new_id]
    units = unit_names(found.values())
    changes = differences(file_of(old) if old else None, file_of(new), units)
    return {
        "old": old,
        "new": new,
        "rows": [{"charge": each.charge, "kind": badge(each.kind, KINDS), "words": each.words} for each in changes],
    }


def _versions(ids: set[int]) -> list[PlanVersion]:
    """The versions with `all_charges`, each with `all_prices`."""
    versions = list(PlanVersion.objects.filter(pk__in=ids).select_related("plan__product"))
    charges = Charge.objects.filter(version__in=ids).select_related("code", "meter").prefetch_related("prices")
    rows: dict[int | None, list[Charge]] = {}
    for charge in charges.order_by("position", "id"):
        rows.setdefault(charge.version_id, []).append(charge)
    for version in versions:
        version.all_charges = rows.get(version.pk, [])  # type: ignore[attr-defined]
    return versions
