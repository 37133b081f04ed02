"""Addresses of metering's API, below `/api/v1/`."""

from django.urls import path

from billing.metering import views
from billing.metering.reports.views import problems

urlpatterns = [
    path("events", views.events, name="events"),
    path("events/batch", views.lago_batch),
    path("problems/<uuid:file_id>", problems, name="problems"),
]
