"""Who tells which taxes apply: the interface, and the providers that the setting TAX_PROVIDERS names."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from billing.invoicing.taxes.errors import ProviderFailed, TaxError, UnknownProvider
from billing.invoicing.taxes.rules import Tax

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sale:
    """What a provider is asked about: who sells what to whom, where it is taxed, and on which day.

    Country is an ISO 3166 code; `tax_code` is the charge's or the product's, "" for what is ordinary.
    """

    entity_id: int
    customer_id: int
    country: str
    region: str
    tax_code: str
    currency: str
    day: date


Answers = Mapping[Sale, Sequence[Tax] | TaxError]


class TaxProvider(Protocol):
    """A class without arguments, by its dotted name. Set-based: one call for all lines of a chunk of contracts.

    Each sale is answered by its taxes in the order in which they are printed and compounded, or by a TaxError that
    holds the contract. Whatever it raises holds all that were asked. It is asked within a transaction.
    """

    remembers: bool
    """Whether it answers what was known within `customers.knowledge.as_known_at`: then `verify` asks it again."""

    def taxes(self, sales: Sequence[Sale]) -> Answers:
        """The taxes of each sale."""
        ...


def provider_named(name: str) -> TaxProvider:
    """The provider of that name. UnknownProvider when the setting does not have it."""
    if name not in settings.TAX_PROVIDERS:
        raise UnknownProvider(name)
    found: TaxProvider = import_string(settings.TAX_PROVIDERS[name])()
    return found


def ask(name: str, sales: Sequence[Sale]) -> dict[Sale, Sequence[Tax] | TaxError]:
    """Each sale's taxes, or why they cannot be told; a provider that fails does so for all of them."""
    try:
        answers = provider_named(name).taxes(sales)
        return {sale: answers[sale] for sale in sales}
    except TaxError as error:
        return dict.fromkeys(sales, error)
    except Exception as error:
        log.exception("The tax provider %s failed", name)
        return dict.fromkeys(sales, ProviderFailed(name, error))


def remembers(name: str) -> bool:
    """Whether the provider of that name answers what was known; one that is not configured any more does not."""
    return name in settings.TAX_PROVIDERS and provider_named(name).remembers
