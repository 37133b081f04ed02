"""Make the dump that a release leaves behind: `python -m tests.upgrades.make 0.1.0`, run at the release itself.

It holds a short story of the demo's company (8 customers, 3 months) as `VERSION.sql.gz` beside this file; later ones
must bring it up to date by `migrate` alone.
"""

import gzip
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main(version: str) -> None:
    """Tell the story in a server of its own, and write what pg_dump says of it."""
    with tempfile.TemporaryDirectory(prefix="meterbook-dump-") as folder:
        os.environ |= {"METERBOOK_DATA": folder, "DJANGO_SETTINGS_MODULE": "config.settings"}
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        from config.demo import story
        from config.demo.tell import tell
        from config.embedded.programs import path_of

        call_command("migrate", verbosity=0)
        told, _ = story.begin(now=datetime(2024, 2, 20, 15, tzinfo=UTC), events=600, people=8, months=3)
        tell(told, quiet=True)
        _agree()
        where = connection.get_connection_params()
        dump = [
            str(path_of("pg_dump")), "--host", str(where["host"]), "--username", str(where["user"]), "--no-owner",
            str(where["dbname"]),
        ]  # fmt: skip
        text = subprocess.run(dump, check=True, capture_output=True).stdout
        (HERE / f"{version}.sql.gz").write_bytes(gzip.compress(text, 9, mtime=0))


def _agree() -> None:
    """What the story does not tell: customers' own terms in the month that is open, and a unit with its worth."""
    from billing.catalog.models import Subscription
    from billing.catalog.terms.services import set_term
    from billing.catalog.units.models import ConversionRate, CustomUnit

    first, second = Subscription.objects.order_by("id")[:2]
    month, now = date(2024, 2, 1), datetime(2024, 2, 20, 15, tzinfo=UTC)
    why: dict[str, Any] = {"start": month, "reason": "Agreed with sales.", "user": None, "now": now}
    set_term(subscription=first, kind="discount", value={"percentage": "10"}, periods=3, **why)
    commitment = {"name": "Committed spend", "amount": "5000", "per": "cycle"}
    set_term(subscription=second, kind="commitment", value=commitment, **why)
    credits = CustomUnit.objects.create(code="credits", name="Credits", places=0)
    ConversionRate.objects.create(unit=credits, currency="USD", rate=Decimal("0.01"), valid_from=month)
    _change(now)


def _change(now: datetime) -> None:
    """A change with options, a pause, an agreement of a whole contract, a coupon, a payer and a policy."""
    from billing.catalog.agreements.services import agree
    from billing.catalog.changes.options import Options
    from billing.catalog.coupons.models import Coupon
    from billing.catalog.coupons.services import redeem
    from billing.catalog.free.services import pause
    from billing.catalog.models import Subscription
    from billing.catalog.services import change_subscription
    from billing.invoicing.late.services import set_policy
    from customers.services import set_payer

    first, second, third, fourth = Subscription.objects.select_related("contract__customer").order_by("id")[:4]
    why: dict[str, Any] = {"reason": "Agreed with sales.", "user": None, "now": now}
    change_subscription(
        subscription=first, at=date(2024, 2, 12), quantity=Decimal(2), options=Options(unused="none"), **why
    )
    pause(subscription=second, start=date(2024, 2, 10), end=date(2024, 2, 15), **why)
    minimum = {"name": "Minimum spend", "amount": "100"}
    agree(contract=third.contract, kind="minimum_spend", value=minimum, start=date(2024, 2, 1), **why)
    coupon = Coupon.objects.create(code="SPRING", name="Spring", percentage=Decimal(10), created_at=now)
    redeem(coupon=coupon, customer=fourth.contract.customer, start=date(2024, 2, 1), **why)
    set_payer(
        customer=third.contract.customer, payer=fourth.contract.customer, start=date(2024, 2, 1), now=now,
        reason="One invoice for both.",
    )  # fmt: skip
    set_policy(entity=first.contract.entity, since=date(2024, 2, 1), grace=2, grace_unit="days", **why)
    _invoices(now)


def _invoices(now: datetime) -> None:
    """An invoice that was voided, a credit on its draft, a customer's link, and a question that came by it."""
    from billing.hosted.services import ask, make_link
    from billing.invoicing.concessions.services import credit
    from billing.invoicing.models import Invoice
    from billing.invoicing.voiding.errors import BadVoid, BuiltUpon
    from billing.invoicing.voiding.services import void

    said: dict[str, Any] = {"reason": "Agreed with the customer.", "user": None, "now": now}
    issued = list(Invoice.objects.filter(state="issued", kind="invoice", total__gt=0).order_by("-sequence"))
    voided = None
    for place, invoice in enumerate(issued):
        with suppress(BadVoid, BuiltUpon):  # a later one builds on it, or it is written off
            void(invoice_id=invoice.pk, **said)
            voided = issued.pop(place)
            break
    assert voided is not None
    line = issued[-1].lines.filter(amount__gt=1)[0]
    credit(invoice_id=issued[-1].pk, amounts={line.pk: Decimal(1)}, **said)
    link = make_link(invoice=issued[-1], user=None, now=now)
    ask(link=link, line=line, name="Jo", email="", question="Why so much?", now=now)


if __name__ == "__main__":
    main(sys.argv[1])
