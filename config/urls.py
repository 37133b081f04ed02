"""Addresses: the admin, the ingest endpoint and the health check."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from billing.invoicing.delivery.views import bounces
from config.health import healthz

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", RedirectView.as_view(url=static("favicon.svg"))),
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("i/", include("billing.hosted.views")),
    path("mail/bounces", bounces, name="bounces"),
    path("api/v1/", include("billing.metering.urls")),
]
