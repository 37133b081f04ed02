"""What every test shares."""

import gc
import os
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

# The sync Playwright keeps an event loop in the test's thread, and Django then refuses the database: needed for the
# browser tests, harmless elsewhere.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

from tests import (
    emptying,
    hypothesis_profiles,  # noqa: F401  registers and loads the profile
)
from tests.databases import migrated

settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # real ones are slow on purpose


def pytest_collection_finish() -> None:
    """Look for garbage less often, and never among what lives as long as the tests do: a tenth of their time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Remember what migrations made, for tests that commit."""
    with django_db_blocker.unblock():
        emptying.remember()
    emptying.install()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: Any) -> None:
    """Let the test database of each process be a copy of one that was migrated once."""
    with django_db_blocker.unblock():
        connection.settings_dict["TEST"]["TEMPLATE"] = migrated()


@pytest.fixture(autouse=True, scope="session")
def _seeds_survive_a_flush() -> None:
    """Seed the roles and the chart again after a test that commits: its end empties every table."""
    from django.apps import apps
    from django.db.models.signals import post_migrate

    def seed(sender: Any, **kwargs: Any) -> None:
        if sender.name == "revenue":
            for name in (
                "revenue.migrations.0002_chart",
                "config.migrations.0001_roles",
                "config.migrations.0002_usage",
                "config.migrations.0003_pricing",
                "config.migrations.0004_engine",
                "config.migrations.0005_invoices",
            ):
                import_module(name).seed(apps, SimpleNamespace(connection=connection))

    post_migrate.connect(seed, weak=False)
