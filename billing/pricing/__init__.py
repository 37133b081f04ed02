"""Pure pricing: a price × a quantity → an amount and the steps that explain it (R3)."""

from billing.pricing.errors import PriceError
from billing.pricing.parse import parse_price
from billing.pricing.prices import Price
from billing.pricing.rating import rate
from billing.pricing.ratings import Rating, Step
from billing.pricing.usages import Cells, Events, EventUse, Need, Totals, Usage, needs
from billing.pricing.write import price_to_json

__all__ = [
    "Cells",
    "EventUse",
    "Events",
    "Need",
    "Price",
    "PriceError",
    "Rating",
    "Step",
    "Totals",
    "Usage",
    "needs",
    "parse_price",
    "price_to_json",
    "rate",
]
