"""The states of a contract and the moves between them: one table that the service, the buttons and the trigger read."""

from django.db.models import TextChoices


class ContractState(TextChoices):
    DRAFT = "draft", "Draft"
    ACTIVE = "active", "Active"


CONTRACT_MOVES: list[tuple[str, str]] = [(ContractState.DRAFT, ContractState.ACTIVE)]
