"""Approving and issuing 1,000 invoices at once, and the lists of finance with a million of them.

    METERBOOK_DATA=/tmp/review .venv/bin/python manage.py migrate
    METERBOOK_DATA=/tmp/review .venv/bin/python manage.py seed_scale --events 20000 --customers 2000 --invoices 1000000
    METERBOOK_DATA=/tmp/review .venv/bin/python -m tests.benchmarks.bench_review

It bills the seeded month where no draft is open, asks each page (median of five), and then approves and issues up to
1,000 drafts through the services.
"""

import os
import time
from datetime import timedelta

import django


def main() -> None:
    """Ask and move, and print what it took."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.db.models import Max
    from django.urls import reverse

    from billing.invoicing.models import Invoice
    from billing.invoicing.services import approve, issue, run_billing
    from config import clock
    from customers.models import Contract
    from tests.benchmarks.bench_pages import median, signed_in

    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    drafts = Invoice.objects.filter(state="draft")
    if not drafts.exists():
        start = Contract.objects.aggregate(last=Max("start"))["last"]
        began = time.perf_counter()
        run_billing(as_of=start + timedelta(days=32), now=clock.now())
        print(f"{time.perf_counter() - began:8.1f} s   billing run, {drafts.count():,} drafts assessed")
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE) billing_invoice, billing_invoiceline, billing_assessment")
    client, invoices = signed_in(), reverse("admin:billing_invoice_changelist")
    queue, issued = reverse("admin:billing_assessment_changelist"), Invoice.objects.filter(state="issued").first()
    draft = drafts.first()
    assert issued
    assert draft
    day = issued.issue_date
    pages = {
        "review queue": queue,
        "review queue, high": f"{queue}?level=high",
        "review queue, search": f"{queue}?q=scale",
        "beside the one before": reverse("admin:billing_assessment_change", args=[draft.pk]),
        "invoices": invoices,
        "invoices, page 100": f"{invoices}?p=100",
        "invoices, drafts": f"{invoices}?state__exact=draft",
        "invoices, issued": f"{invoices}?state__exact=issued",
        "invoices, number": f"{invoices}?q={issued.number}",
        "invoices, customer": f"{invoices}?q={issued.customer.external_id}",
        "invoices, a month": f"{invoices}?issue_date__year={day.year}&issue_date__month={day.month}",
        "an issued invoice": reverse("admin:billing_invoice_change", args=[issued.pk]),
        "a draft": reverse("admin:billing_invoice_change", args=[draft.pk]),
    }
    for name, url in pages.items():
        took, status = median(client, url)
        print(f"{took:8.0f} ms  {status}  {name}")
    ids = list(drafts.order_by("pk").values_list("pk", flat=True)[:1000])
    began = time.perf_counter()
    approved = approve(invoice_ids=ids, user=None, now=clock.now())
    between = time.perf_counter()
    done = issue(invoice_ids=ids, user=None, now=clock.now())
    print(f"{between - began:8.1f} s   approved {len(approved.done):,}, {len(approved.skipped):,} skipped")
    print(f"{time.perf_counter() - between:8.1f} s   issued {len(done.done):,}, {len(done.skipped):,} skipped")


if __name__ == "__main__":
    main()
