"""Addresses of metering's API, below `/api/v1/`."""

from django.urls import path

from billing.metering import views

urlpatterns = [
    path("events", views.events, name="events"),
]
