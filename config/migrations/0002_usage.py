"""What the roles may do with usage, and the routine work of usage; taking it back removes both."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GRANTS = {
    "RevOps": [
        (("view", "add"), ("correction", "backfill")),
        (("view", "add", "change"), ("upload", "pullsource")),
        (("view", "change"), ("usagealert",)),
        (("view",), ("eventmonth", "eventconflict", "eventreject")),
    ],
    "Finance": [],
    "Engineer": [
        (("view", "add"), ("correction", "backfill")),
        (("view", "add", "change"), ("upload", "pullsource")),
        (("view", "change"), ("usagealert", "eventmonth")),
        (("view",), ("eventconflict", "eventreject")),
    ],
}
VIEW_ALL = ("Finance", "Auditor")

# Name, function, and every how many minutes; a day is 1,440.
SCHEDULES = [
    ("Roll up usage", "billing.metering.rollups.tasks.catch_up", 1),
    ("Clear rollups that no meter uses", "billing.metering.rollups.tasks.clear_unused", 1440),
    ("Make tables for the months ahead", "billing.metering.months.tasks.make_ahead", 1440),
    ("Look for usage that stops or jumps", "billing.metering.alerts.tasks.evaluate", 360),
    ("Fetch from pull sources", "billing.metering.sources.tasks.pull_due", 1),
    ("Clear files of uploads", "billing.metering.sources.tasks.tidy_up", 1440),
    ("Clear files of problems", "billing.metering.reports.tasks.remove_problem_files", 1440),
]


def seed(apps, schema_editor):
    """Give the permissions and plan the work. Permissions are usually made after the last migration."""
    create_permissions(installed.get_app_config("billing"), verbosity=0, using=schema_editor.connection.alias)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    of_billing = Permission.objects.filter(content_type__app_label="billing")
    for name, grants in GRANTS.items():
        group, _ = Group.objects.get_or_create(name=name)
        for verbs, models in grants:
            names = [f"{verb}_{model}" for verb in verbs for model in models]
            found = list(of_billing.filter(codename__in=names))
            if missing := set(names) - {permission.codename for permission in found}:
                raise LookupError(f"billing has no permissions {sorted(missing)} for the role {name}.")
            group.permissions.add(*found)
    for name in VIEW_ALL:
        Group.objects.get_or_create(name=name)[0].permissions.add(*of_billing.filter(codename__startswith="view_"))
    Schedule = apps.get_model("django_q", "Schedule")
    for name, func, minutes in SCHEDULES:
        Schedule.objects.update_or_create(
            name=name, defaults={"func": func, "schedule_type": "I", "minutes": minutes, "repeats": -1}
        )


def unseed(apps, schema_editor):
    """Take the work away; permissions go with their models."""
    apps.get_model("django_q", "Schedule").objects.filter(func__in=[func for _, func, _ in SCHEDULES]).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0001_roles"), ("billing", "0009_pages"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(seed, unseed)]
