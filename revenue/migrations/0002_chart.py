"""Seed the chart of accounts (docs/books.md)."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from revenue.ledger.chart import CHART


def seed(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the accounts that are not there yet."""
    account = apps.get_model("revenue", "Account")
    account.objects.bulk_create(
        [account(code=code, name=name, kind=kind) for code, name, kind in CHART], ignore_conflicts=True
    )


def unseed(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take the accounts away again; the database refuses while journal lines use them."""
    apps.get_model("revenue", "Account").objects.filter(code__in=[code for code, _, _ in CHART]).delete()


class Migration(migrations.Migration):

    dependencies = [("revenue", "0001_initial")]

    operations = [migrations.RunPython(seed, unseed)]
