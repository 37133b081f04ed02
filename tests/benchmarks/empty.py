"""The project with one more address, `/empty`: what a Django view that does nothing costs here, for benchmarks."""

import os

from django.http import HttpRequest, HttpResponse
from django.urls import path


def empty(request: HttpRequest) -> HttpResponse:
    """Nothing, as quickly as the project's middleware lets it."""
    return HttpResponse(b"{}", content_type="application/json")


def application() -> object:
    """The project's own WSGI application, with these addresses."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings

    settings.ROOT_URLCONF = __name__
    from config.wsgi import application as project

    return project


def __getattr__(name: str) -> object:
    """`urlpatterns`, made when Django asks for them: the project's own need its settings."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from config.urls import urlpatterns

    return [path("empty", empty), *urlpatterns]
