"""How a meter changes: in place until a published price counts with it, by a new version from then on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from billing.metering.errors import MeterError, MeterSuperseded
from billing.metering.meters.checking import check_meter
from billing.metering.models import METER_DEFINITION, Meter


def revise_meter(*, meter: Meter, changes: Mapping[str, Any], now: datetime) -> Meter:
    """Change the fields of a meter; the answer is the version that has them.

    A change of its name or unit, and any change of a version that no published price counts with, is made in place.
    Any other makes the next version: the one before stays for what counts with it, and draft prices keep it until
    somebody chooses the new one. MeterError for a definition that cannot count or a new code of a meter in use;
    MeterSuperseded for a version that is not the latest. Within the caller's transaction.
    """
    locked: Any = Meter.objects.select_for_update(of=("self",)).with_use().get(pk=meter.pk)
    current: Meter = locked
    sold: bool = locked.sold
    if current.superseded_at is not None:
        latest = Meter.objects.current().get(code=current.code)
        raise MeterSuperseded(current.code, current.version, latest.version)
    changed = {name: value for name, value in changes.items() if getattr(current, name) != value}
    if not changed:
        return current
    if sold and "code" in changed:
        raise MeterError({"code": "Published prices know the meter by this code: make another meter for a new one."})
    makes_version = sold and not changed.keys().isdisjoint(METER_DEFINITION)
    for name, value in changed.items():
        setattr(current, name, value)
    check_meter(current)
    if not makes_version:
        current.save(update_fields=list(changed))
        current.refresh_from_db(fields=["rollup", "rollup_ready", "settled"])
        return current
    Meter.objects.filter(pk=current.pk).update(superseded_at=now)
    kept = {name: getattr(current, name) for name in ("code", "name", "unit", *METER_DEFINITION)}
    return Meter.objects.create(version=current.version + 1, **kept)
