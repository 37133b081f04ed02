"""A meter's filters as SQL conditions; `filters.matches` is the reference."""

from typing import Final

from billing.metering.exact_json import dumps
from billing.metering.filters import Compare, Condition, Exists, Filter, OneOf
from billing.metering.meters.fragments import Fragment, join
from billing.metering.meters.properties import json_at, kind_at, number_at
from billing.money import plain

_OPERATORS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def conditions(filters: tuple[Filter, ...]) -> Fragment:
    """All conditions, each beginning with AND. A property that is missing fails each but `not` and `exists: false`."""
    pieces = [_condition(filter_.names, each) for filter_ in filters for each in filter_.conditions]
    return join(" AND {}" * len(pieces), *pieces)


def _condition(names: tuple[str, ...], condition: Condition) -> Fragment:
    """One condition on a property."""
    match condition:
        case OneOf(options, negated):
            wanted = Fragment("%s::jsonb[]", ([dumps(option) for option in options],))
            equal = join("{} = ANY({})", json_at(names), wanted)  # as JSON: 1.0 = 1, "1" is not 1
            return join("({}) IS NOT TRUE", equal) if negated else equal
        case Compare(operator, bound):
            number = Fragment("%s::numeric", (plain(bound),))
            return join(f"({{}}) {_OPERATORS[operator]} {{}}", number_at(names), number)
        case Exists(wanted):
            return join(f"{{}} {'<>' if wanted else '='} 'null'", kind_at(names))
