"""Who pays for whom, which contracts share an invoice, and what becomes of negative totals.

Contracts that exist keep an invoice of their own, and sellers that exist keep credits waiting, as both were before.
"""

import customers.validators
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0002_knowledge'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Payer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('start', models.DateField(help_text="First day of service that it pays for, in the contract's time zone; a line goes by its own.", verbose_name='from')),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('recorded_at', models.DateTimeField(editable=False)),
                ('undone_at', models.DateTimeField(editable=False, null=True)),
            ],
            options={
                'ordering': ['customer', 'start', 'id'],
            },
        ),
        migrations.AddField(
            model_name='contract',
            name='invoice_group',
            field=models.CharField(blank=True, help_text='Contracts of one payer that have the same group share an invoice. Empty: with all that have none.', max_length=60),
        ),
        migrations.AddField(
            model_name='legalentity',
            name='credit_note_prefix',
            field=models.CharField(blank=True, help_text='Stands before the number of a credit note. Empty: “CN-” before the prefix of invoices.', max_length=24),
        ),
        migrations.AddField(
            model_name='legalentity',
            name='logo',
            field=models.ImageField(blank=True, help_text='PNG or JPEG, printed at the head of the invoice.', upload_to='logos', validators=[customers.validators.validate_logo]),
        ),
        migrations.AddField(
            model_name='legalentity',
            name='negative',
            field=models.CharField(choices=[('credit_note', 'Credit note'), ('next_invoice', 'On the next invoice that outweighs them')], default='credit_note', help_text='What becomes of credits that outweigh the charges of an invoice.', max_length=12, verbose_name='negative totals'),
        ),
        migrations.RunSQL("UPDATE customers_contract SET invoice_group = number", migrations.RunSQL.noop),
        migrations.RunSQL("UPDATE customers_legalentity SET negative = 'next_invoice'", migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name='legalentity',
            constraint=models.UniqueConstraint(condition=models.Q(('credit_note_prefix', ''), _negated=True), fields=('credit_note_prefix',), name='entity_credit_note_prefix', violation_error_message='Another legal entity numbers its credit notes so already.'),
        ),
        migrations.AddField(
            model_name='payer',
            name='contract',
            field=models.ForeignKey(blank=True, help_text='Empty: all contracts of the customer, those to come too.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payers', to='customers.contract'),
        ),
        migrations.AddField(
            model_name='payer',
            name='customer',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payers', to='customers.customer'),
        ),
        migrations.AddField(
            model_name='payer',
            name='payer',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pays_for', to='customers.customer', verbose_name='paid by'),
        ),
        migrations.AddField(
            model_name='payer',
            name='recorded_by',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='payer',
            constraint=models.UniqueConstraint(condition=models.Q(('contract', None), ('undone_at', None)), fields=('customer', 'start'), name='payer_of_customer'),
        ),
        migrations.AddConstraint(
            model_name='payer',
            constraint=models.UniqueConstraint(condition=models.Q(('undone_at', None)), fields=('contract', 'start'), name='payer_of_contract'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payer',
            trigger=pgtrigger.compiler.Trigger(name='payer_kept', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='2dd03a5dbbe3a4b88b73cc093800a0e51ea23da4', operation='DELETE', pgid='pgtrigger_payer_kept_53054', table='customers_payer', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payer',
            trigger=pgtrigger.compiler.Trigger(name='payer_frozen', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.undone_at IS NOT NULL OR (OLD.customer_id, OLD.contract_id, OLD.payer_id, OLD.start) IS DISTINCT FROM (NEW.customer_id, NEW.contract_id, NEW.payer_id, NEW.start))', func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;", hash='206f5e9014b74569bd2bdadc802d5c5c5a819e68', operation='UPDATE', pgid='pgtrigger_payer_frozen_9301f', table='customers_payer', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payer',
            trigger=pgtrigger.compiler.Trigger(name='remembered', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n    INSERT INTO customers_knowledge (fact, row_id, content)\n    VALUES (TG_TABLE_NAME, coalesce(NEW.id, OLD.id), CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);\n    RETURN NULL;\n", hash='66748b62f2c1cb527d65c9debfdeee0df2aa02e2', operation='INSERT OR UPDATE OR DELETE', pgid='pgtrigger_remembered_b8f88', table='customers_payer', when='AFTER')),
        ),
    ]
