"""The page that reads a plan file: what it would change first, a draft version after it was confirmed."""

from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from billing.catalog.errors import CatalogError, PlanFileError
from billing.catalog.pages.forms import ImportForm
from billing.catalog.plan_files import Preview, import_plan, preview_import, read_file
from customers.backoffice import OfficeAdmin, badge, change_url, list_url

KINDS = {"added": "success", "removed": "danger", "changed": "info"}
NEEDED = ("billing.add_plan", "billing.add_planversion", "billing.add_charge")


def import_view(request: HttpRequest, model_admin: OfficeAdmin) -> HttpResponse:
    """A file is chosen, looked at, and imported: each step sends the text along, and nothing is kept in between."""
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": "Import a plan",
        "opts": model_admin.opts,
        "form": form,
        "back": list_url(model_admin.model),
    }
    if form.is_valid():
        text = form.cleaned_data["text"]
        try:
            plan = read_file(text)
            preview = preview_import(plan)
            if request.POST.get("confirm") == _shown(preview):
                version = import_plan(plan)
                model_admin.log_addition(request, version.plan, f"Imported {version} from a file.")
                messages.success(request, f"{version} is a draft: look at its charges, then publish it.")
                return HttpResponseRedirect(change_url(version))
        except PlanFileError as error:
            context["problems"] = error.problems
        except CatalogError as error:
            context["refusal"] = str(error)
        else:
            if "confirm" in request.POST:
                messages.warning(request, "The plan has changed since you looked at it: please look again.")
            context |= _preview(preview, text)
    return TemplateResponse(request, "billing/admin/plan_import.html", context)


def _shown(preview: Preview) -> str:
    """A digest of what the page showed: the confirmation holds for that."""
    return sha256("\n".join([preview.headline, *map(str, preview.changes)]).encode()).hexdigest()


def _preview(preview: Preview, text: str) -> dict[str, Any]:
    rows = [{"charge": each.charge, "kind": badge(each.kind, KINDS), "words": each.words} for each in preview.changes]
    return {"headline": preview.headline.rstrip(":"), "rows": rows, "text": text, "confirm": _shown(preview)}
