"""Make the dump that a release leaves behind: `python -m tests.upgrades.make 0.1.0`, run at the release itself.

It holds a short story of the demo's company (8 customers, 3 months) as `VERSION.sql.gz` beside this file; later ones
must bring it up to date by `migrate` alone.
"""

import gzip
import os
import subprocess
import sys
import tempfile
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


if __name__ == "__main__":
    main(sys.argv[1])
