"""How long the back office's pages of the catalog take with many plans and subscriptions: median of five each.

    METERBOOK_DATA=/tmp/pages .venv/bin/python manage.py migrate
    METERBOOK_DATA=/tmp/pages .venv/bin/python manage.py seed_scale --events 20000 --plans 500 --subscriptions 20000
    METERBOOK_DATA=/tmp/pages .venv/bin/python -m tests.benchmarks.bench_pages [--slower-than 300]

It asks through Django's test client, as a superuser that it makes (`bench-pages`), and lists the slowest first. Asked
are, for every model whose pages stand in the packages of the catalog, moves, lab and customers: the list, a later page
of it, a search in it, the form for a new one, and the pages of the first and the last one.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import django

ROUNDS = 5
PACKAGES = ("billing.catalog.", "billing.lab.", "billing.moves.", "customers.")


def main() -> None:
    """Ask every page, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slower-than", type=int, default=0, metavar="MS")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings

    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    client = signed_in()
    found = sorted(((*median(client, url), name) for name, url in pages()), reverse=True)
    for took, status, name in found:
        if took >= options.slower_than or status != 200:
            print(f"{took:8.0f} ms  {status}  {name}")
    print(f"{len(found)} pages; slowest {found[0][0]:.0f} ms; {sum(took > 300 for took, _, _ in found)} above 300 ms")


def signed_in() -> Any:
    """A client of somebody who may see everything."""
    from django.contrib.auth.models import User
    from django.test import Client

    user = User.objects.filter(username="bench-pages").first()
    client = Client()
    client.force_login(user or User.objects.create_superuser("bench-pages"))
    return client


def median(client: Any, url: str) -> tuple[float, int]:
    """Milliseconds of the median of five requests, after one that warms up, and the status."""
    status, times = client.get(url).status_code, []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(url)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), status


def pages() -> Iterator[tuple[str, str]]:
    """Names and addresses."""
    from django.contrib import admin
    from django.test import RequestFactory
    from django.urls import reverse

    request = RequestFactory().get("/")
    request.user = signed_in_user()
    for model, model_admin in admin.site._registry.items():
        if not model.__module__.startswith(PACKAGES):
            continue
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        address = reverse(f"admin:{name}_changelist")
        yield f"{name} list", address
        yield f"{name} list, page 3", f"{address}?p=3"
        if model_admin.search_fields:
            yield f"{name} list, search", f"{address}?q=scale-000123"
        if model_admin.has_add_permission(request):
            yield f"{name} add", reverse(f"admin:{name}_add")
        for word, one in (
            ("first", model.objects.order_by("pk").first()),
            ("last", model.objects.order_by("pk").last()),
        ):
            if one is not None:
                yield f"{name} page, {word}", reverse(f"admin:{name}_change", args=[one.pk])
    yield from _lab()


def signed_in_user() -> Any:
    """Who asks."""
    from django.contrib.auth.models import User

    return User.objects.get(username="bench-pages")


def _lab() -> Iterator[tuple[str, str]]:
    from django.urls import reverse

    from billing.lab.models import TrialRun

    run = TrialRun.objects.filter(state="done").order_by("-done").first()
    if run:
        key = [run.trial_id, run.number]
        outcome = run.outcomes.earliest("pk")
        yield "trial result", f"{reverse('admin:billing_pricetrial_change', args=[run.trial_id])}?run={run.number}"
        yield "trial customers", reverse("admin:billing_pricetrial_customers", args=key)
        yield "trial customer", reverse("admin:billing_pricetrial_customer", args=[*key, outcome.customer_id])


if __name__ == "__main__":
    main()
