"""The addresses of events: sent by POST, read by GET."""

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from billing.metering import views
from billing.metering.api.fate import fate


@csrf_exempt  # no cookie counts here: the key in the header is the whole authority
def events(request: HttpRequest) -> HttpResponseBase:
    """Take events in; or, by GET with `source` and `id`, tell the fate of one."""
    if request.method in ("GET", "HEAD") and request.GET:
        return fate(request)
    return views.events(request)
