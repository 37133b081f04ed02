"""What happens with an API key: a row of its own, so that what people decide about a key is not written by traffic."""

from django.db import models

from billing.metering.models import ApiKey


class ApiKeyUse(models.Model):
    """When a key was last used, how often it was refused, and what is left of its rate limit.

    Processes write it in lots: `last_used_at` is right to about a minute, refusals are counted before the answer.
    """

    key = models.OneToOneField(ApiKey, models.CASCADE, primary_key=True, related_name="use")
    last_used_at = models.DateTimeField(null=True)
    refused_count = models.BigIntegerField(default=0, db_default=0, help_text="Uses after it was revoked or expired.")
    refused_at = models.DateTimeField("last refused at", null=True)
    balance = models.DecimalField(
        max_digits=30,
        decimal_places=6,
        null=True,
        help_text="Events that may still be sent at `balance_at`; it grows by the limit each second, to one second's.",
    )
    balance_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "metering_apikey_use"

    def __str__(self) -> str:
        return f"use of key {self.pk}"
