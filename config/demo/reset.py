"""Starting afresh: the demo's database is emptied, and nobody else's."""

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from billing.invoicing.models import InvoiceDocument
from billing.metering import names, partitions
from config.demo.story import read
from customers.models import Customer


class NotTheDemos(Exception):
    """The database does not say that it is the demo's."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"--reset deletes everything in a database, and “{connection.settings_dict['NAME']}” {why}. If it may go,"
            " drop and create it yourself; else name another one in DATABASE_URL."
        )


def reset() -> None:
    """Drop and recreate the schema, and delete the stored documents of the demo's invoices.

    NotTheDemos when the database does not hold the demo's mark: it must be the embedded one then, and hold no customers
    and no users.
    """
    if read() is None:
        if "embedded" not in settings.DATABASES["default"].get("OPTIONS", {}):
            raise NotTheDemos("does not hold the demo's mark")
        if _holds(Customer._meta.db_table) or _holds(User._meta.db_table):
            raise NotTheDemos("holds customers or users without the demo's mark")
    elif _exists(InvoiceDocument._meta.db_table):
        for document in InvoiceDocument.objects.all():
            document.file.delete(save=False)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE")
        cursor.execute("CREATE SCHEMA public")
    names.forget()
    partitions.forget()


def _exists(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table])
        return bool(cursor.fetchone()[0])


def _holds(table: str) -> bool:
    """Whether the table is there and has a row."""
    if not _exists(table):
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {table})")
        return bool(cursor.fetchone()[0])
