"""Invoices of several contracts, and credit notes. What is open stays in the group of its contract; what was issued is
not touched.
"""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0018_knowledge'),
        ('customers', '0003_payers'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='invoice',
            name='invoice_approved_frozen',
        ),
        migrations.RemoveConstraint(
            model_name='invoice',
            name='invoice_one_draft',
        ),
        migrations.RemoveConstraint(
            model_name='invoice',
            name='invoice_sequence',
        ),
        migrations.RemoveConstraint(
            model_name='invoice',
            name='invoice_not_negative',
        ),
        migrations.AddField(
            model_name='invoice',
            name='apart',
            field=models.BooleanField(default=False, help_text='Corrections alone, beside the regular invoice.'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='group',
            field=models.CharField(blank=True, help_text='That of the contracts on it.', max_length=60),
        ),
        migrations.AddField(
            model_name='invoice',
            name='kind',
            field=models.CharField(choices=[('invoice', 'Invoice'), ('credit_note', 'Credit note')], default='invoice', help_text='A negative one is a credit.', max_length=12),
        ),
        migrations.AlterField(
            model_name='invoice',
            name='contract',
            field=models.ForeignKey(help_text='Where all lines are of one.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='customers.contract'),
        ),
        migrations.AlterField(
            model_name='invoice',
            name='customer',
            field=models.ForeignKey(help_text='Who pays.', on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='customers.customer'),
        ),
        migrations.RunSQL(
            'UPDATE billing_invoice i SET "group" = c.invoice_group FROM customers_contract c'
            " WHERE c.id = i.contract_id AND i.state <> 'issued'",
            migrations.RunSQL.noop,
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='invoice',
            trigger=pgtrigger.compiler.Trigger(name='invoice_approved_frozen', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.state = \'approved\' AND NEW.state <> \'draft\' AND (OLD.customer_id, OLD.contract_id, OLD.entity_id, OLD.kind, OLD."group", OLD.apart, OLD.currency, OLD.as_of, OLD.net, OLD.tax, OLD.total) IS DISTINCT FROM (NEW.customer_id, NEW.contract_id, NEW.entity_id, NEW.kind, NEW."group", NEW.apart, NEW.currency, NEW.as_of, NEW.net, NEW.tax, NEW.total))', func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;", hash='72fd87bcbc2e9f26ded2b20fb3861d3644ec72c0', operation='UPDATE', pgid='pgtrigger_invoice_approved_frozen_f7594', table='billing_invoice', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'draft')), fields=('customer', 'group', 'entity', 'currency', 'apart'), name='invoice_one_draft'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(fields=('entity', 'kind', 'sequence'), name='invoice_sequence'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'invoice'), ('total__gte', 0)), models.Q(('kind', 'credit_note'), ('total__lt', 0)), ('state', 'draft'), _connector='OR'), name='invoice_sign'),
        ),
    ]
