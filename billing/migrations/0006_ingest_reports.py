"""What is not stored, and why: conflicts, rejections by the hour, and the problems of streams."""

import django.db.models.deletion
import django.db.models.functions.comparison
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0005_api_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='ProblemFile',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(db_index=True)),
                ('key', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.apikey')),
            ],
            options={
                'db_table': 'metering_problem_file',
            },
        ),
        migrations.CreateModel(
            name='EventConflict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.UUIDField(help_text='Key of the event that stands, as EventKey has it.')),
                ('content', models.UUIDField(help_text='MD5 of what was sent, so that each content is kept once.')),
                ('event_id', models.TextField(verbose_name='event id')),
                ('sent', models.JSONField(help_text='Type, subject, time (null: none) and data.', verbose_name='what was sent')),
                ('origin', models.TextField(help_text='Where it came from: “api” or “import FILE”.')),
                ('count', models.BigIntegerField(verbose_name='times sent')),
                ('first_seen', models.DateTimeField()),
                ('last_seen', models.DateTimeField()),
                ('key', models.ForeignKey(db_constraint=False, help_text='Who sent it last.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.apikey', verbose_name='API key')),
                ('source', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.eventsource')),
            ],
            options={
                'verbose_name': 'conflict',
                'db_table': 'metering_conflict',
                'ordering': ['-last_seen', '-id'],
                'indexes': [models.Index(fields=['-last_seen', '-id'], name='metering_conflict_latest')],
                'constraints': [models.UniqueConstraint(fields=('digest', 'content'), name='metering_conflict_once')],
            },
        ),
        migrations.CreateModel(
            name='EventReject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField(help_text='Start of the hour, in UTC.')),
                ('origin', models.TextField(help_text='Where they came from: “api” or “import FILE”.')),
                ('code', models.TextField(help_text='The reason, for programs: “missing_subject”.')),
                ('count', models.BigIntegerField(verbose_name='events')),
                ('last_at', models.DateTimeField(verbose_name='last')),
                ('last_message', models.TextField(help_text='The reason of the last one, for people.', verbose_name='last reason')),
                ('last_example', models.TextField(help_text='What was sent, at most 2,000 characters of it.', verbose_name='last example')),
                ('key', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.apikey', verbose_name='API key')),
            ],
            options={
                'verbose_name': 'rejection',
                'db_table': 'metering_reject',
                'ordering': ['-hour', '-last_at', '-id'],
                'constraints': [models.UniqueConstraint(models.F('hour'), django.db.models.functions.comparison.Coalesce('key', models.Value(0)), models.F('origin'), models.F('code'), name='metering_reject_once')],
            },
        ),
        migrations.CreateModel(
            name='ProblemPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('n', models.IntegerField(help_text='Place in the file, from 0.')),
                ('content', models.BinaryField()),
                ('file', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='billing.problemfile')),
            ],
            options={
                'db_table': 'metering_problem_part',
                'constraints': [models.UniqueConstraint(fields=('file', 'n'), name='metering_problem_part_once')],
            },
        ),
    ]
