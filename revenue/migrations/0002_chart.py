"""Seed the chart of accounts (docs/books.md)."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# As it stood in this release: a later chart comes with a migration of its own.
CHART = (
    ("1000", "Cash", "asset"),
    ("1100", "Accounts receivable", "asset"),
    ("1150", "Unbilled receivable", "asset"),
    ("1160", "Contract asset", "asset"),
    ("1190", "Allowance for credit losses", "asset"),
    ("2100", "Deferred revenue", "liability"),
    ("2110", "Customer credits", "liability"),
    ("2150", "Refund liability", "liability"),
    ("2160", "Customer balance", "liability"),
    ("2170", "Unclaimed property", "liability"),
    ("2200", "Tax payable", "liability"),
    ("4000", "Subscription revenue", "revenue"),
    ("4010", "Usage revenue", "revenue"),
    ("4020", "Overage", "revenue"),
    ("4030", "Services", "revenue"),
    ("4040", "Breakage", "revenue"),
    ("4900", "Credit notes", "contra"),
    ("4910", "Refunds", "contra"),
    ("4920", "Discounts", "contra"),
    ("4930", "Disputes", "contra"),
    ("6100", "Bad debt", "expense"),
    ("6200", "Payment fees", "expense"),
    ("7100", "FX gain or loss, realised", "expense"),
    ("7110", "FX gain or loss, unrealised", "expense"),
    ("7200", "Other losses and recoverables", "expense"),
)


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
