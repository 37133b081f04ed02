"""A version as a file to download."""

import json

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from billing.catalog.models import PlanVersion
from billing.catalog.plan_files import plan_to_json


def download(request: HttpRequest, pk: int) -> HttpResponse:
    """The JSON of a version, named after its plan and number."""
    if not request.user.has_perm("billing.view_planversion"):
        raise PermissionDenied
    version = get_object_or_404(PlanVersion.objects.select_related("plan__product"), pk=pk)
    text = json.dumps(plan_to_json(version), indent=2, ensure_ascii=False) + "\n"
    name = f"{version.plan.code}-v{version.number}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="application/json; charset=utf-8", headers=headers)
