"""Addresses: the admin, the ingest endpoint and the health check."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("billing.metering.urls")),
]
