"""Rollups of usage, what is pending of them, and corrections; what was stored before is pending, so that it counts."""

import billing.metering.exact_json
import billing.metering.rollups.fields
import django.contrib.postgres.fields
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0003_meters'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Dimensions',
            fields=[
                ('digest', models.UUIDField(primary_key=True, serialize=False)),
                ('values', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(null=True), size=None)),
            ],
            options={
                'db_table': 'metering_dimensions',
            },
        ),
        migrations.CreateModel(
            name='PendingBatch',
            fields=[
                ('batch', models.BigIntegerField(primary_key=True, serialize=False)),
                ('hours', django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), help_text='The hours (UTC) in which its events happened.', size=None)),
            ],
            options={
                'db_table': 'metering_pending',
            },
        ),
        migrations.CreateModel(
            name='Activity',
            fields=[
                ('pk', models.CompositePrimaryKey('subject', 'type', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('n', models.BigIntegerField()),
                ('first_ts', models.DateTimeField()),
                ('last_ts', models.DateTimeField()),
                ('position', models.BigIntegerField(help_text='Of the last batch that changed it.')),
                ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
                ('type', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventtype')),
            ],
            options={
                'db_table': 'metering_activity',
            },
        ),
        migrations.CreateModel(
            name='Backfill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('reason', models.TextField(help_text='Why this usage comes in this way.')),
                ('api_key', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.apikey')),
                ('created_at', models.DateTimeField(editable=False)),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='CorrectedHour',
            fields=[
                ('pk', models.CompositePrimaryKey('batch', 'type', 'subject', 'hour', blank=True, editable=False, primary_key=True, serialize=False)),
                ('batch', models.BigIntegerField(help_text="The correction's.")),
                ('hour', models.DateTimeField()),
                ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
                ('type', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventtype')),
            ],
            options={
                'db_table': 'metering_corrected_hour',
            },
        ),
        migrations.CreateModel(
            name='Correction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('void', 'Void'), ('replace', 'Replace'), ('revert', 'Revert a backfill'), ('undo', 'Undo a correction')], max_length=10)),
                ('reason', models.TextField()),
                ('api_key', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.apikey')),
                ('created_at', models.DateTimeField(editable=False)),
                ('batch', models.BigIntegerField(editable=False, help_text='The batch of its replacements, and its mark.', unique=True)),
                ('events', models.BigIntegerField(editable=False, help_text='How many events it concerns.')),
                ('criteria', models.JSONField(default=dict, editable=False, encoder=billing.metering.exact_json.ExactEncoder, help_text='Which events were meant, as it was asked.')),
                ('changes', models.JSONField(default=dict, editable=False, encoder=billing.metering.exact_json.ExactEncoder, help_text='What a replacement changes.')),
                ('backfill', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='billing.backfill')),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('undoes', models.OneToOneField(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone_by', to='billing.correction')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='CorrectedEvent',
            fields=[
                ('pk', models.CompositePrimaryKey('correction', 'batch', 'n', blank=True, editable=False, primary_key=True, serialize=False)),
                ('batch', models.BigIntegerField()),
                ('n', models.IntegerField()),
                ('counts', models.BooleanField()),
                ('by_batch', models.BigIntegerField(help_text='The event that counts instead: its batch and place.', null=True)),
                ('by_n', models.IntegerField(null=True)),
                ('correction', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.correction')),
            ],
            options={
                'db_table': 'metering_corrected_event',
            },
        ),
        migrations.CreateModel(
            name='DayCount',
            fields=[
                ('rollup', models.BigIntegerField(help_text="The meter's rollup: one for each definition that it ever had.")),
                ('bucket', models.DateTimeField()),
                ('dims', models.UUIDField()),
                ('n', models.BigIntegerField(help_text='Events that count.')),
                ('invalid', models.BigIntegerField(help_text='Events that the meter cannot read (R1.3).')),
                ('total', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='Sum of values.', max_digits=1000, null=True)),
                ('moment', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='Sum of value × seconds since 1970, for weighted sums.', max_digits=1000, null=True)),
                ('value', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='Extreme or latest value.', max_digits=1000, null=True)),
                ('at', models.DateTimeField(help_text='When the latest event happened; ties go by arrival (R2.1).', null=True)),
                ('at_batch', models.BigIntegerField(null=True)),
                ('at_n', models.IntegerField(null=True)),
                ('position', models.BigIntegerField(help_text='Of the last batch that changed it.')),
                ('pk', models.CompositePrimaryKey('rollup', 'subject', 'bucket', 'dims', blank=True, editable=False, primary_key=True, serialize=False)),
                ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
            ],
            options={
                'db_table': 'metering_day',
            },
        ),
        migrations.CreateModel(
            name='DayValue',
            fields=[
                ('rollup', models.BigIntegerField(help_text="The meter's rollup: one for each definition that it ever had.")),
                ('bucket', models.DateTimeField()),
                ('dims', models.UUIDField()),
                ('value', models.UUIDField(help_text='128 bits of SHA-256 of the value.')),
                ('adds', models.BooleanField()),
                ('at', models.DateTimeField()),
                ('at_batch', models.BigIntegerField()),
                ('at_n', models.IntegerField()),
                ('pk', models.CompositePrimaryKey('rollup', 'subject', 'bucket', 'dims', 'value', blank=True, editable=False, primary_key=True, serialize=False)),
                ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
            ],
            options={
                'db_table': 'metering_day_value',
            },
        ),
        migrations.CreateModel(
            name='HourCount',
            fields=[
                ('rollup', models.BigIntegerField(help_text="The meter's rollup: one for each definition that it ever had.")),
                ('bucket', models.DateTimeField()),
                ('dims', models.UUIDField()),
                ('n', models.BigIntegerField(help_text='Events that count.')),
                ('invalid', models.BigIntegerField(help_text='Events that the meter cannot read (R1.3).')),
                ('total', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='Sum of values.', max_digits=1000, null=True)),
                ('moment', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='Sum of value × seconds since 1970, for weighted sums.', max_digits=1000, null=True)),
                ('value', billing.metering.rollups.fields.ExactNumber(decimal_places=500, help_text='Extreme or latest value.', max_digits=1000, null=True)),
                ('at', models.DateTimeField(help_text='When the latest event happened; ties go by arrival (R2.1).', null=True)),
                ('at_batch', models.BigIntegerField(null=True)),
                ('at_n', models.IntegerField(null=True)),
                ('position', models.BigIntegerField(help_text='Of the last batch that changed it.')),
                ('pk', models.CompositePrimaryKey('rollup', 'subject', 'bucket', 'dims', blank=True, editable=False, primary_key=True, serialize=False)),
                ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
            ],
            options={
                'db_table': 'metering_hour',
            },
        ),
        migrations.CreateModel(
            name='HourValue',
            fields=[
                ('rollup', models.BigIntegerField(help_text="The meter's rollup: one for each definition that it ever had.")),
                ('bucket', models.DateTimeField()),
                ('dims', models.UUIDField()),
                ('value', models.UUIDField(help_text='128 bits of SHA-256 of the value.')),
                ('adds', models.BooleanField()),
                ('at', models.DateTimeField()),
                ('at_batch', models.BigIntegerField()),
                ('at_n', models.IntegerField()),
                ('pk', models.CompositePrimaryKey('rollup', 'subject', 'bucket', 'dims', 'value', blank=True, editable=False, primary_key=True, serialize=False)),
                ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
            ],
            options={
                'db_table': 'metering_hour_value',
            },
        ),
        migrations.CreateModel(
            name='VoidedEvent',
            fields=[
                ('pk', models.CompositePrimaryKey('batch', 'n', blank=True, editable=False, primary_key=True, serialize=False)),
                ('batch', models.BigIntegerField()),
                ('n', models.IntegerField()),
                ('correction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.correction')),
            ],
            options={
                'db_table': 'metering_voided',
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='correctedhour',
            trigger=pgtrigger.compiler.Trigger(name='corrected_hour_kept', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='f0a60db9e6435980475105cc9c68b8c39bfc952e', operation='UPDATE OR DELETE', pgid='pgtrigger_corrected_hour_kept_e6ead', table='metering_corrected_hour', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='correction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'undo'), ('undoes__isnull', False)), models.Q(('backfill__isnull', False), ('kind', 'revert'), ('undoes__isnull', True)), models.Q(('backfill__isnull', True), ('kind__in', ['void', 'replace']), ('undoes__isnull', True)), _connector='OR'), name='correction_names_what_it_takes_back'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='correction',
            trigger=pgtrigger.compiler.Trigger(name='correction_kept', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='c26de840a51a3cf4caa9104a7b048bc4edca4ab8', operation='UPDATE OR DELETE', pgid='pgtrigger_correction_kept_3f106', table='billing_correction', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='correctedevent',
            index=models.Index(fields=['batch', 'n'], name='metering_corrected_event_of'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='correctedevent',
            trigger=pgtrigger.compiler.Trigger(name='corrected_event_kept', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='19b8ebdde31543fe416c158b2cc8fbde1c852ac9', operation='UPDATE OR DELETE', pgid='pgtrigger_corrected_event_kept_d29cd', table='metering_corrected_event', when='BEFORE')),
        ),
        # Rows are updated in place again and again: room on each page, and no dead rows that a reader must pass.
        migrations.RunSQL(
            """
            ALTER TABLE metering_hour SET (fillfactor = 70);
            ALTER TABLE metering_day SET (fillfactor = 70);
            ALTER TABLE metering_activity SET (fillfactor = 70);
            ALTER TABLE metering_pending
                SET (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.0);
            CREATE SEQUENCE metering_rollup_no
            """,
            "DROP SEQUENCE metering_rollup_no",
        ),
        migrations.RunSQL(
            """
            INSERT INTO metering_pending (batch, hours)
            SELECT batch, array_agg(DISTINCT date_bin('1 hour', ts, '2000-01-01 00:00:00+00'))
            FROM metering_event GROUP BY batch
            """,
            migrations.RunSQL.noop,
        ),
    ]
