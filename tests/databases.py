"""A database with all tables and nothing of anybody's in it, made once for all that need one: a copy takes a moment.

It stays on the server for the next time, under a name that tells what the migrations were.
"""

from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection

PREFIX = "test_migrated_"
LOCK = 7099


def migrated() -> str:
    """Its name; whoever comes first makes it, the others wait."""
    name = PREFIX + _digest()
    with connection._nodb_cursor() as cursor:  # Django's own, for test databases
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [PREFIX + "%"])
            there = {found for (found,) in cursor.fetchall()}
            for old in there - {name}:
                cursor.execute(f'DROP DATABASE IF EXISTS "{old}"')
            if name not in there:
                cursor.execute(f'CREATE DATABASE "{name}_making" TEMPLATE template0')
                _migrate(f"{name}_making")
                cursor.execute(f'ALTER DATABASE "{name}_making" RENAME TO "{name}"')
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    return name


def _migrate(name: str) -> None:
    original = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        call_command("migrate", verbosity=0)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = original


def _digest() -> str:
    """Of everything that a migration may be made of: the project's own, and the versions of what it builds on."""
    text = sha256(version("django").encode() + version("django-q2").encode())
    for path in sorted(Path(settings.BASE_DIR).glob("*/migrations/*.py")):
        text.update(path.name.encode() + path.read_bytes())
    return text.hexdigest()[:12]
