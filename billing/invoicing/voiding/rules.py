"""What is waived, and what a draft bills beside it. Pure: no Django, no clock.

A waived amount counts as billed where deltas are computed, and comes off both sides of the line that is drawn up, so
that the line stands on what is recorded. A waived stretch of a fee is neither charged nor credited, whatever its terms.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from billing.invoicing.rated import SlotKey
from billing.invoicing.slots import SlotLine, Standing
from billing.invoicing.terms import StreamKey
from billing.periods import Period
from billing.pricing.ratings import made_of

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Waived:
    """What a contract is not billed again: amounts by slot, as if they stood, and stretches of fees by stream."""

    slots: Mapping[SlotKey, Standing] = field(default_factory=dict)
    fees: Mapping[StreamKey, Sequence[Period]] = field(default_factory=dict)

    def less(self, key: SlotKey, desired: Decimal) -> Decimal:
        """What is left to bill of what a slot comes to. What is waived is given once: it is never turned round."""
        if key not in self.slots:
            return desired
        waived = self.slots[key].desired
        left = desired - waived
        return ZERO if left * waived < 0 and desired * waived >= 0 else left

    def standing(self, recorded: dict[SlotKey, Standing]) -> dict[SlotKey, Standing]:
        """What stands recorded, with what is waived as if it were."""
        if not self.slots:
            return recorded
        found = dict(recorded)
        for key, waived in self.slots.items():
            stands = found.get(key)
            found[key] = replace(stands, desired=stands.desired + waived.desired) if stands else waived
        return found

    def taken(self, lines: Iterable[SlotLine], recorded: Mapping[SlotKey, Standing]) -> list[SlotLine]:
        """The lines without what is waived, on what stands recorded; one of which nothing is left goes."""
        found = (self._taken(line, recorded.get(line.key)) if line.key in self.slots else line for line in lines)
        return [line for line in found if line is not None]

    def _taken(self, line: SlotLine, stands: Standing | None) -> SlotLine | None:
        left, before = self.less(line.key, line.desired), stands.desired if stands else ZERO
        if left == before:
            return None
        step = [made_of("Waived", left - line.desired).to_json()] if left != line.desired else []
        return replace(
            line, billed_before=before, desired=left, corrects=stands.line_id if stands else None,
            steps=[*line.steps, *step], tax_included=None if step else line.tax_included,
        )  # fmt: skip

    def stretches(self, stream: StreamKey) -> Sequence[Period]:
        """What of a fee's time is waived."""
        return self.fees.get(stream, ())


NOTHING: Final = Waived()
