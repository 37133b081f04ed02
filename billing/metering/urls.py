"""Addresses of metering's API, below `/api/v1/`."""

from django.urls import path

from billing.metering import views
from billing.metering.api.fate import fate
from billing.metering.api.usage import usage
from billing.metering.api.views import events, nothing, openapi, page
from billing.metering.corrections.views import backfills, corrections
from billing.metering.reports.views import problems

urlpatterns = [
    path("", page, name="api"),
    path("openapi.json", openapi, name="openapi"),
    path("backfills", backfills, name="backfills"),
    path("corrections", corrections, name="corrections"),
    path("events", events, name="events"),
    path("events/batch", views.lago_batch),
    path("events/<path:address>", fate, name="event_fate"),
    path("problems/<str:file_id>", problems, name="problems"),
    path("usage", usage, name="usage"),
    path("<path:address>", nothing),
]
