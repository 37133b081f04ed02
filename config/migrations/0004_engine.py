"""What the roles may do with terms, runs and verifications, and their routine work; taking it back removes the work."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

APPS = ("customers", "billing")
GRANTS = {
    "RevOps": [
        (("view", "add", "change"), ("coupon", "redemption", "payer", "subscriptionfreetime")),
        (("view",), ("contractterm", "subscriptionchange", "hold", "runchunk", "usagetolerance", "invoicingpolicy")),
        (("release",), ("hold",)),
    ],
    "Finance": [
        (("release",), ("hold",)),
        (("add", "change", "delete"), ("usagetolerance",)),
        (("add", "change"), ("invoicingpolicy",)),
        (("start",), ("verification",)),
    ],
}
PLAIN = {"Finance": ["approve_early"]}
VIEW_ALL = ("Finance", "Auditor")

# Name, function, and every how many minutes.
SCHEDULES = [
    ("Go on with billing runs", "billing.invoicing.tasks.resume", 1),
    ("Renew contracts that are due", "billing.catalog.renewals.tasks.renew_due", 60),
    ("Verify issued invoices", "billing.verification.tasks.verify_all", 24 * 60),
]


def seed(apps, schema_editor):
    """Give the permissions and plan the work. Permissions are usually made after the last migration."""
    for label in APPS:
        create_permissions(installed.get_app_config(label), verbosity=0, using=schema_editor.connection.alias)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    known = Permission.objects.filter(content_type__app_label__in=APPS)
    for role, grants in GRANTS.items():
        group, _ = Group.objects.get_or_create(name=role)
        names = [f"{verb}_{model}" for verbs, models in grants for verb in verbs for model in models]
        names += PLAIN.get(role, [])
        found = list(known.filter(codename__in=names))
        if missing := set(names) - {permission.codename for permission in found}:
            raise LookupError(f"There are no permissions {sorted(missing)} for the role {role}.")
        group.permissions.add(*found)
    for role in VIEW_ALL:
        Group.objects.get_or_create(name=role)[0].permissions.add(*known.filter(codename__startswith="view_"))
    Schedule = apps.get_model("django_q", "Schedule")
    for name, func, minutes in SCHEDULES:
        Schedule.objects.update_or_create(
            name=name, defaults={"func": func, "schedule_type": "I", "minutes": minutes, "repeats": -1}
        )


def unseed(apps, schema_editor):
    """Take the work away; permissions go with their models."""
    apps.get_model("django_q", "Schedule").objects.filter(func__in=[func for _, func, _ in SCHEDULES]).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0003_pricing"), ("billing", "0027_changes"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(seed, unseed)]
