"""A slot is of its whole cycle: one that begins like another, but ends elsewhere, is another."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0012_terms"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="slot",
            name="slot_of_cycle",
        ),
        migrations.AddConstraint(
            model_name="slot",
            constraint=models.UniqueConstraint(
                condition=models.Q(("cycle_start__isnull", False)),
                fields=("stream", "kind", "dimensions", "cycle_start", "cycle_end"),
                name="slot_of_cycle",
            ),
        ),
    ]
