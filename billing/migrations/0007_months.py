"""Months of events and where they lie; how many events a batch holds; alerts."""

import billing.metering.rollups.fields
import django.db.models.deletion
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0006_ingest_reports'),
        ('customers', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='EventMonth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(help_text='Its first day.', unique=True)),
                ('state', models.CharField(choices=[('live', 'Live'), ('exported', 'Exported'), ('detached', 'Detached')], db_default='live', max_length=10)),
                ('file', models.TextField(db_default='', help_text='Name of the file in the archive folder.')),
                ('sha256', models.CharField(db_default='', max_length=64, verbose_name='SHA-256')),
                ('size', models.BigIntegerField(help_text='Bytes of the file.', null=True, verbose_name='file size')),
                ('events', models.BigIntegerField(null=True, verbose_name='exported events')),
                ('first_at', models.DateTimeField(null=True, verbose_name='first event')),
                ('last_at', models.DateTimeField(null=True, verbose_name='last event')),
                ('exported_at', models.DateTimeField(null=True)),
                ('detached_at', models.DateTimeField(null=True)),
                ('restored_at', models.DateTimeField(null=True)),
                ('task', models.CharField(db_default='', editable=False, max_length=10)),
                ('progress', models.BigIntegerField(db_default=0, editable=False, help_text='Events handled so far.')),
                ('trouble', models.TextField(db_default='', help_text='Why the last task did not end.')),
            ],
            options={
                'verbose_name': 'month of events',
                'verbose_name_plural': 'months of events',
                'db_table': 'metering_month',
                'ordering': ['-month'],
            },
        ),
        migrations.CreateModel(
            name='UsageAlert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('stop', 'Usage stopped'), ('jump', 'Usage jumped'), ('source_silent', 'Source silent')], max_length=20)),
                ('source', models.TextField(db_default='', help_text='Of a source that fell silent: its name.')),
                ('since', models.DateTimeField(help_text='When it began.')),
                ('expected', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='What a usual day has, by its own history.', max_digits=1000, null=True)),
                ('seen', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='What the day had.', max_digits=1000, null=True)),
                ('opened_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(help_text='When usage was as usual again.', null=True)),
                ('acknowledged_at', models.DateTimeField(null=True)),
                ('acknowledgement', models.TextField(db_default='', help_text='What whoever looked into it found.', verbose_name='why')),
            ],
            options={
                'ordering': ['-opened_at', '-id'],
            },
        ),
        migrations.AddField(
            model_name='eventbatch',
            name='events',
            field=models.IntegerField(help_text='How many it holds; unknown of older batches.', null=True),
        ),
        migrations.AddIndex(
            model_name='eventbatch',
            index=models.Index(fields=['recorded_at'], include=('events', 'key_id'), name='metering_batch_recorded'),
        ),
        migrations.AddField(
            model_name='eventmonth',
            name='detached_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='eventmonth',
            name='exported_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='eventmonth',
            name='restored_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='usagealert',
            name='acknowledged_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='usagealert',
            name='customer',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='customers.customer'),
        ),
        migrations.AddField(
            model_name='usagealert',
            name='meter',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='billing.meter'),
        ),
        migrations.AddConstraint(
            model_name='eventmonth',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'live'), models.Q(('events__isnull', False), ('exported_at__isnull', False), models.Q(('file', ''), _negated=True), models.Q(('sha256', ''), _negated=True)), _connector='OR'), name='month_archived_in_a_file'),
        ),
        migrations.AddConstraint(
            model_name='eventmonth',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'detached'), _negated=True), ('detached_at__isnull', False), _connector='OR'), name='month_detached_at'),
        ),
        migrations.AddConstraint(
            model_name='usagealert',
            constraint=models.UniqueConstraint(models.F('kind'), django.db.models.functions.comparison.Coalesce('customer', 0), django.db.models.functions.comparison.Coalesce('meter', 0), models.F('source'), condition=models.Q(('closed_at', None)), name='usagealert_open_once'),
        ),
        migrations.AddConstraint(
            model_name='usagealert',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'source_silent'), models.Q(('source', ''), _negated=True)), models.Q(models.Q(('kind', 'source_silent'), _negated=True), ('customer__isnull', False), ('meter__isnull', False)), _connector='OR'), name='usagealert_of_something'),
        ),
        migrations.RunSQL(
            """
            INSERT INTO metering_month (month)
            SELECT to_date(right(c.relname, 7), 'YYYY_MM')
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'metering_event'::regclass
            """,
            migrations.RunSQL.noop,
        ),
    ]
