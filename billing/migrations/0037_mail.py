"""API keys may report e-mail that came back."""

import billing.metering.models
import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0036_void'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='apikey',
            name='apikey_scopes',
        ),
        migrations.AlterField(
            model_name='apikey',
            name='scopes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('ingest', 'Send events'), ('read', 'Read usage'), ('correct', 'Correct usage'), ('bounces', 'Report e-mail that came back')], max_length=20), default=billing.metering.models.ingest_only, help_text='What the key may do.', size=None),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('scopes__contained_by', ['ingest', 'read', 'correct', 'bounces']), ('scopes__len__gt', 0)), name='apikey_scopes', violation_error_message='A key may send, read or correct usage, report bounces, or several of these.'),
        ),
    ]
