"""What each contract was last computed from."""

from django.db import models

from customers.models import Contract


class Mark(models.Model):
    """That a contract's drafts are its delta as of `until`, from the facts that were known then.

    There is none while a contract is held or failed: every run computes it. Facts that came later leave a touch
    (`customers.marking`); usage that came later is in batches after `position`, or was pending then.
    """

    contract = models.OneToOneField(Contract, models.CASCADE, primary_key=True, related_name="+", db_constraint=False)
    until = models.DateTimeField(help_text="The instant as of which it was computed.")
    due_on = models.DateField(null=True, help_text="As of this day something falls due, and not before; null: never.")
    position = models.BigIntegerField(help_text="Through which usage was seen.")
    general = models.BigIntegerField(help_text="How many facts that concern every contract were known.")
    engine = models.CharField(max_length=20, help_text="Version of the rules that computed it.")

    def __str__(self) -> str:
        return f"contract {self.contract_id} until {self.until:%Y-%m-%d}"
