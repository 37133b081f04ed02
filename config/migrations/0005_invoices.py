"""What the roles may do with taxes, review, letters and balances, and their routine work; back takes the work away."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

APPS = ("customers", "billing")
GRANTS = {
    "RevOps": [
        (("view",), ("taxrate", "producttax", "assessment", "approvalpolicy", "delivery", "mailtemplate", "dispute", "hostedlink")),
        (("add",), ("manualline", "taxtreatment")),
    ],
    "Finance": [
        (("add",), ("taxrate", "producttax", "taxtreatment", "approvalpolicy", "manualline", "writeoff")),
        (("add", "change"), ("mailtemplate",)),
        (("settle",), ("balanceaccount",)),
        (("approve",), ("writeoff",)),
        (("answer",), ("dispute",)),
    ],
}
VIEW_ALL = ("Finance", "Auditor")

# Name, function, and every how many minutes.
SCHEDULES = [
    ("Draw documents", "billing.invoicing.drawing.tasks.draw", 1),
    ("Send e-mails that wait", "billing.invoicing.tasks.post", 1),
    ("Go on with bulk actions", "billing.invoicing.bulk.tasks.resume", 1),
    ("Assess drafts", "billing.invoicing.review.tasks.assess", 1),
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
    dependencies = [("config", "0004_engine"), ("billing", "0039_hosted"), ("customers", "0010_sending")]
    operations = [migrations.RunPython(seed, unseed)]
