"""What a page or the API answers when it needs the events of a detached month: not an error of the server."""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing.metering.answers import problem
from billing.metering.months.errors import MonthDetached


class MonthDetachedMiddleware:
    """409 with the month and the way out, as a page or as problem+json."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass everything on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer for whatever needs a detached month."""
        if not isinstance(error, MonthDetached):
            return None
        if request.path.startswith("/api/"):
            return problem(409, "month_detached", str(error), months=list(error.months))
        context = {**admin.site.each_context(request), "months": error.months, "title": "Restore first"}
        return TemplateResponse(request, "billing/admin/month_detached.html", context, status=409).render()
