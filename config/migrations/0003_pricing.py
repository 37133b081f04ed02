"""What the roles may do with prices, and their routine work; taking it back removes the work."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GRANTS = {
    "RevOps": [
        (("view", "add", "change"), ("customunit", "conversionrate", "subscriptionterm", "move", "movedsubscription")),
        (("view", "add", "change", "delete"), ("pricetrial", "trialcandidate", "experiment", "experimentvariant")),
        (("view",), ("trialrun", "trialoutcome", "experimentassignment")),
        (("run",), ("pricetrial", "experiment")),
    ],
    "Finance": [(("add",), ("pricetrial",)), (("run",), ("pricetrial",))],
}
PLAIN = {"RevOps": ["move_subscribers"]}
VIEW_ALL = ("Finance", "Auditor")

# Name, function, and every how many minutes.
SCHEDULES = [
    ("Publish plan versions that are due", "billing.catalog.tasks.publish_due", 1),
    ("Go on with moves of subscribers", "billing.moves.tasks.resume", 1),
    ("Go on with trials of the price lab", "billing.lab.tasks.resume", 1),
]


def seed(apps, schema_editor):
    """Give the permissions and plan the work. Permissions are usually made after the last migration."""
    create_permissions(installed.get_app_config("billing"), verbosity=0, using=schema_editor.connection.alias)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    of_billing = Permission.objects.filter(content_type__app_label="billing")
    for role, grants in GRANTS.items():
        group, _ = Group.objects.get_or_create(name=role)
        names = [f"{verb}_{model}" for verbs, models in grants for verb in verbs for model in models]
        names += PLAIN.get(role, [])
        found = list(of_billing.filter(codename__in=names))
        if missing := set(names) - {permission.codename for permission in found}:
            raise LookupError(f"billing has no permissions {sorted(missing)} for the role {role}.")
        group.permissions.add(*found)
    for role in VIEW_ALL:
        Group.objects.get_or_create(name=role)[0].permissions.add(*of_billing.filter(codename__startswith="view_"))
    Schedule = apps.get_model("django_q", "Schedule")
    for name, func, minutes in SCHEDULES:
        Schedule.objects.update_or_create(
            name=name, defaults={"func": func, "schedule_type": "I", "minutes": minutes, "repeats": -1}
        )


def unseed(apps, schema_editor):
    """Take the work away; permissions go with their models."""
    apps.get_model("django_q", "Schedule").objects.filter(func__in=[func for _, func, _ in SCHEDULES]).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0002_usage"), ("billing", "0015_lab"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(seed, unseed)]
