"""Meters in versions, with all aggregations and with expressions for values; paths that would now read as one are quoted."""

import re

import billing.metering.exact_json
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


PLAIN = re.compile(r"[^\W\d]\w*(\.\w+)*")
QUOTED = re.compile(r'"(?:[^"]|"")+"(\."(?:[^"]|"")+")*')


def quote_paths(apps, schema_editor):
    """A value was a path of any names; as an expression, `input-tokens` would be a difference."""
    Meter = apps.get_model("billing", "Meter")
    for meter in Meter.objects.exclude(value=""):
        if not PLAIN.fullmatch(meter.value):
            names = [name.replace('"', '""') for name in meter.value.split(".")]
            Meter.objects.filter(pk=meter.pk).update(value=".".join(f'"{name}"' for name in names))


def unquote_paths(apps, schema_editor):
    """The paths as they were; what became of an expression is for whoever goes back."""
    Meter = apps.get_model("billing", "Meter")
    for meter in Meter.objects.exclude(value=""):
        if QUOTED.fullmatch(meter.value):
            names = meter.value[1:-1].split('"."')
            Meter.objects.filter(pk=meter.pk).update(value=".".join(name.replace('""', '"') for name in names))


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0002_initial'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='meter',
            options={'ordering': ['code', '-version']},
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='meter',
            name='meter_frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='subscriptioninterval',
            name='interval_bound',
        ),
        migrations.AddField(
            model_name='meter',
            name='operation',
            field=models.TextField(blank=True, help_text='For distinct values that come and go: the property that says add or remove. Empty: all are added.', verbose_name='add or remove'),
        ),
        migrations.AddField(
            model_name='meter',
            name='prorate',
            field=models.BooleanField(default=False, help_text='What is carried forward weighs by the days of the period on which it was there.', verbose_name='by days present'),
        ),
        migrations.AddField(
            model_name='meter',
            name='recurring',
            field=models.BooleanField(default=False, help_text='What came before a period counts in it too: seats, storage.', verbose_name='carried forward'),
        ),
        migrations.AddField(
            model_name='meter',
            name='rollup',
            field=models.BigIntegerField(editable=False, help_text='Under which its rollups are kept; null: none are built.', null=True, unique=True),
        ),
        migrations.AddField(
            model_name='meter',
            name='rollup_ready',
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name='meter',
            name='rounding',
            field=models.JSONField(blank=True, help_text='How the quantity is rounded, e.g. {"mode": "up", "places": 0}.', null=True),
        ),
        migrations.AddField(
            model_name='meter',
            name='superseded_at',
            field=models.DateTimeField(editable=False, help_text='When the next version was made.', null=True),
        ),
        migrations.AddField(
            model_name='meter',
            name='version',
            field=models.PositiveIntegerField(default=1, editable=False),
        ),
        migrations.AlterField(
            model_name='meter',
            name='aggregation',
            field=models.CharField(choices=[('count', 'Count events'), ('sum', 'Sum of a value'), ('max', 'Maximum of a value'), ('min', 'Minimum of a value'), ('unique_count', 'Count of distinct values'), ('latest', 'Latest value'), ('average', 'Average of a value'), ('weighted_sum', 'Sum weighted by time')], max_length=20),
        ),
        migrations.AlterField(
            model_name='meter',
            name='code',
            field=models.SlugField(max_length=60),
        ),
        migrations.AlterField(
            model_name='meter',
            name='filters',
            field=models.JSONField(blank=True, decoder=billing.metering.exact_json.ExactDecoder, default=dict, encoder=billing.metering.exact_json.ExactEncoder, help_text='What an event must be like, e.g. {"region": ["eu", "us"], "seconds": {"gte": "1"}}.'),
        ),
        migrations.AlterField(
            model_name='meter',
            name='value',
            field=models.CharField(blank=True, help_text="A property of the event's data, e.g. tokens or usage.output, or an expression such as input + 4 * output. Empty for a count.", max_length=500),
        ),
        migrations.RunPython(quote_paths, unquote_paths),
        pgtrigger.migrations.AddTrigger(
            model_name='meter',
            trigger=pgtrigger.compiler.Trigger(name='meter_frozen', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n                    IF EXISTS (SELECT 1 FROM billing_charge c JOIN billing_planversion v ON v.id = c.version_id\n                               WHERE c.meter_id = OLD.id AND v.state <> 'draft')\n                       AND (TG_OP = 'DELETE' OR (OLD.code, OLD.version, OLD.event_type, OLD.aggregation, OLD.value, OLD.filters, OLD.group_by, OLD.operation, OLD.recurring, OLD.prorate, OLD.rounding) IS DISTINCT FROM (NEW.code, NEW.version, NEW.event_type, NEW.aggregation, NEW.value, NEW.filters, NEW.group_by, NEW.operation, NEW.recurring, NEW.prorate, NEW.rounding)) THEN\n                        RAISE EXCEPTION 'meter % is used by a published plan version: make a new version', OLD.code\n                            USING ERRCODE = 'check_violation';\n                    END IF;\n                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;\n                    RETURN NEW;\n                ", hash='a5b1688a86b6632a7cc1a4e833e959e49b265f45', operation='UPDATE OR DELETE', pgid='pgtrigger_meter_frozen_bd168', table='billing_meter', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='meter',
            trigger=pgtrigger.compiler.Trigger(name='meter_history', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.superseded_at IS NOT NULL)', func="\n                    IF (OLD.superseded_at, OLD.code, OLD.version, OLD.event_type, OLD.aggregation, OLD.value, OLD.filters, OLD.group_by, OLD.operation, OLD.recurring, OLD.prorate, OLD.rounding) IS DISTINCT FROM (NEW.superseded_at, NEW.code, NEW.version, NEW.event_type, NEW.aggregation, NEW.value, NEW.filters, NEW.group_by, NEW.operation, NEW.recurring, NEW.prorate, NEW.rounding) THEN\n                        RAISE EXCEPTION 'meter % has a newer version: change that', OLD.code\n                            USING ERRCODE = 'check_violation';\n                    END IF;\n                    RETURN NEW;\n                ", hash='3aebeca3b81a4d3818e09b6494d224bf9586d25e', operation='UPDATE', pgid='pgtrigger_meter_history_79fc4', table='billing_meter', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='meter',
            trigger=pgtrigger.compiler.Trigger(name='meter_rollup', sql=pgtrigger.compiler.UpsertTriggerSql(func='\n                    IF (OLD.event_type, OLD.aggregation, OLD.value, OLD.filters, OLD.group_by, OLD.operation, OLD.recurring, OLD.prorate, OLD.rounding) IS DISTINCT FROM (NEW.event_type, NEW.aggregation, NEW.value, NEW.filters, NEW.group_by, NEW.operation, NEW.recurring, NEW.prorate, NEW.rounding) THEN\n                        NEW.rollup := NULL;\n                        NEW.rollup_ready := false;\n                    END IF;\n                    RETURN NEW;\n                ', hash='7e64c1a360355c2c8f855e82c62f94c42ea89d7a', operation='UPDATE', pgid='pgtrigger_meter_rollup_55e23', table='billing_meter', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='subscriptioninterval',
            trigger=pgtrigger.compiler.Trigger(name='interval_bound', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE buyer bigint; clash text;', func='\n                    IF EXISTS (SELECT 1 FROM billing_planversion v\n                               WHERE v.id = NEW.version_id AND v.state = \'draft\') THEN\n                        RAISE EXCEPTION \'only a published plan version can be subscribed to\'\n                            USING ERRCODE = \'check_violation\';\n                    END IF;\n                    SELECT k.customer_id INTO buyer FROM billing_subscription s\n                        JOIN customers_contract k ON k.id = s.contract_id WHERE s.id = NEW.subscription_id;\n                    -- Two writers at once must see each other: the same lock as billing\'s, per customer.\n                    PERFORM pg_advisory_xact_lock(7001, buyer::int);\n                    SELECT m.code INTO clash FROM billing_subscriptioninterval i\n                        JOIN billing_subscription s ON s.id = i.subscription_id\n                        JOIN customers_contract k ON k.id = s.contract_id\n                        JOIN billing_charge theirs ON theirs.version_id = i.version_id\n                        JOIN billing_meter m ON m.id = theirs.meter_id\n                        -- Any two versions of a meter count the same usage.\n                        JOIN billing_meter mine ON mine.code = m.code\n                        JOIN billing_charge ours ON ours.meter_id = mine.id AND ours.version_id = NEW.version_id\n                        WHERE k.customer_id = buyer AND i.superseded_at IS NULL AND s.id <> NEW.subscription_id\n                          AND tstzrange(i.start, i."end") && tstzrange(NEW.start, NEW."end") LIMIT 1;\n                    IF clash IS NOT NULL THEN\n                        RAISE EXCEPTION\n                            \'meter % is counted by another subscription of this customer at that time\', clash\n                            USING ERRCODE = \'exclusion_violation\';\n                    END IF;\n                    RETURN NULL;\n                ', hash='2ce1b35d3cba9899e8d967592309388316989e2b', operation='INSERT', pgid='pgtrigger_interval_bound_9c249', table='billing_subscriptioninterval', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.UniqueConstraint(fields=('code', 'version'), name='meter_version'),
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.UniqueConstraint(condition=models.Q(('superseded_at__isnull', True)), fields=('code',), name='meter_current', violation_error_message='There is a meter of this code.'),
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.CheckConstraint(condition=models.Q(('prorate', False), models.Q(('aggregation__in', ['sum', 'unique_count']), ('recurring', True)), _connector='OR'), name='meter_prorate', violation_error_message='Only a sum or distinct values that are carried forward go by days present.'),
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.CheckConstraint(condition=models.Q(('operation', ''), ('aggregation', 'unique_count'), _connector='OR'), name='meter_operation', violation_error_message='Only distinct values are added and removed.'),
        ),
        migrations.AlterConstraint(
            model_name='meter',
            name='meter_value_needed',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('aggregation', 'count'), ('value', '')), models.Q(models.Q(('aggregation', 'count'), _negated=True), models.Q(('value', ''), _negated=True)), _connector='OR'), name='meter_value_needed', violation_error_message='A count takes no value; every other aggregation needs one.'),
        ),
    ]
