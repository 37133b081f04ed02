"""The four roles with their permissions; taking it back removes the roles."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = {
    "RevOps": [
        ("customers", ("view", "add", "change"), ("customer", "usagesubject", "contract")),
        (
            "billing",
            ("view", "add", "change"),
            (
                "product", "chargecode", "plan", "planversion", "charge", "chargeprice", "subscription",
                "subscriptioninterval", "meter",
            ),
        ),
        ("customers", ("delete",), ("contract",)),
        ("billing", ("delete",), ("planversion", "charge", "chargeprice")),
        ("customers", ("view",), ("legalentity",)),
        ("billing", ("view",), ("invoice", "invoiceline", "invoicedocument", "delivery", "billingrun", "runoutcome")),
        ("billing", ("view",), ("event", "eventbatch", "eventsource", "eventtype", "eventsubject")),
        ("billing", ("publish",), ("planversion",)),
    ],
    "Finance": [
        ("customers", ("add", "change"), ("legalentity",)),
        ("billing", ("add",), ("payment", "allocation")),
        ("billing", ("approve", "issue"), ("invoice",)),
        ("billing", ("start",), ("billingrun",)),
        ("revenue", ("close",), ("accountingperiod",)),
    ],
    "Engineer": [
        ("billing", ("view", "add", "change"), ("apikey", "meter")),
        ("billing", ("view",), ("event", "eventbatch", "eventsource", "eventtype", "eventsubject")),
        ("customers", ("view",), ("customer", "usagesubject")),
        ("django_q", ("view",), ("ormq", "failure", "success", "schedule")),
    ],
    "Auditor": [],
}
VIEW_ALL = ("Finance", "Auditor")
APPS = ("customers", "billing", "revenue")


def seed(apps, schema_editor):
    """Make the roles. Permissions are usually made after the last migration: here they are needed before."""
    for label in (*APPS, "django_q"):
        create_permissions(installed.get_app_config(label), verbosity=0, using=schema_editor.connection.alias)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, grants in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        for label, verbs, models in grants:
            names = [f"{verb}_{model}" for verb in verbs for model in models]
            found = list(Permission.objects.filter(content_type__app_label=label, codename__in=names))
            missing = set(names) - {permission.codename for permission in found}
            if missing:
                raise LookupError(f"{label} has no permissions {sorted(missing)} for the role {name}.")
            group.permissions.add(*found)
        if name in VIEW_ALL:
            group.permissions.add(
                *Permission.objects.filter(content_type__app_label__in=APPS, codename__startswith="view_")
            )


def unseed(apps, schema_editor):
    """Remove the roles; who held them keeps the account."""
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_q", "0018_task_success_index"),
        ("customers", "0001_initial"),
        ("billing", "0002_initial"),
        ("revenue", "0001_initial"),
    ]
    operations = [migrations.RunPython(seed, unseed)]
