"""Usage events: interned names, batches, keys that count once, and the event table in monthly partitions."""

import django.contrib.postgres.indexes
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='EventBatch',
            fields=[
                ('no', models.BigAutoField(primary_key=True, serialize=False)),
                ('recorded_at', models.DateTimeField()),
                ('origin', models.TextField(help_text='Where it came from: “api” or “import FILE”.')),
                ('key_id', models.IntegerField(null=True)),
                ('backfill_id', models.IntegerField(null=True)),
                ('position', models.BigIntegerField(help_text='Commit order; given when it is rolled up.', null=True, unique=True)),
            ],
            options={
                'db_table': 'metering_batch',
            },
        ),
        migrations.CreateModel(
            name='EventSource',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('name', models.TextField(unique=True)),
            ],
            options={
                'db_table': 'metering_source',
            },
        ),
        migrations.CreateModel(
            name='EventSubject',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('name', models.TextField(unique=True)),
            ],
            options={
                'db_table': 'metering_subject',
            },
        ),
        migrations.CreateModel(
            name='EventType',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('name', models.TextField(unique=True)),
            ],
            options={
                'db_table': 'metering_type',
            },
        ),
        migrations.CreateModel(
            name='EventKey',
            fields=[
                ('digest', models.UUIDField(help_text="blake2b-128 of the source's id, NUL, the event's id.", primary_key=True, serialize=False)),
                ('content', models.BigIntegerField(help_text='64 bits of what the sender sent: differs when a resend differs.')),
                ('ts', models.DateTimeField()),
                ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
                ('type', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventtype')),
            ],
            options={
                'db_table': 'metering_key',
            },
        ),
        # Partitioned by month, which Django cannot say: the table is made by hand, the model only in Django's state.
        # No default partition: its rows would stand in the way of a month that is made later.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """
                    CREATE TABLE metering_event (
                        batch bigint NOT NULL, n integer NOT NULL, source_id integer NOT NULL, type_id integer NOT NULL,
                        subject_id integer NOT NULL, ts timestamptz NOT NULL, id text NOT NULL, data jsonb NOT NULL
                    ) PARTITION BY RANGE (ts)
                    """,
                    "DROP TABLE metering_event",
                ),
                # Random digests touch every page: room on each keeps inserts from splitting them.
                migrations.RunSQL("ALTER INDEX metering_key_pkey SET (fillfactor = 70)", migrations.RunSQL.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name='Event',
                    fields=[
                        ('pk', models.CompositePrimaryKey('batch', 'n', 'ts', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('n', models.IntegerField(help_text='Place in the batch; ties in time go by arrival (R2.1).')),
                        ('ts', models.DateTimeField(help_text='Event time, to the microsecond: says which period (R1.5).')),
                        ('id', models.TextField(help_text="The sender's id, unique within the source.")),
                        ('data', models.JSONField()),
                        ('batch', models.ForeignKey(db_column='batch', db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventbatch')),
                        ('source', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsource')),
                        ('subject', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsubject')),
                        ('type', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventtype')),
                    ],
                    options={
                        'db_table': 'metering_event',
                    },
                ),
            ],
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='eventkey',
            trigger=pgtrigger.compiler.Trigger(name='key_kept', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='c128f55c16bdb5210fc94fd8e671c281e4087764', operation='UPDATE OR DELETE', pgid='pgtrigger_key_kept_023a8', table='metering_key', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(fields=['subject', 'type', 'ts'], name='metering_event_lookup'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['batch'], name='metering_event_batch', pages_per_range=8),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='event',
            trigger=pgtrigger.compiler.Trigger(name='event_kept', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='5a422daef4d9e0ae6ee5baa2c8a531264fc7b3e1', operation='UPDATE OR DELETE', pgid='pgtrigger_event_kept_761af', table='metering_event', when='BEFORE')),
        ),
    ]
