"""Reads of invoices that several pages share."""

from django.db.models import Q

from customers.models import Contract, Customer, LegalEntity


def found_by(term: str) -> Q:
    """Invoices by a word: their number, its beginning or its running digits; customer, own id of it, contract.

    Customers and contracts are few beside their invoices: they are looked up first, and the invoices by their indexes.
    Three queries.
    """
    customers = Customer.objects.filter(Q(legal_name__icontains=term) | Q(external_id__icontains=term)).order_by()
    contracts = Contract.objects.filter(number__icontains=term).order_by()
    numbers = Q(number__startswith=term) | Q(number__startswith=term.upper())
    if term.isascii() and term.isdigit():
        prefixes = {
            prefix for each in LegalEntity.objects.all() for prefix in (each.invoice_prefix, each.credit_prefix)
        }
        numbers |= Q(number__in=[f"{prefix}{int(term):06d}" for prefix in prefixes])
    return (
        numbers
        | Q(customer__in=list(customers.values_list("pk", flat=True)))
        | Q(contract__in=list(contracts.values_list("pk", flat=True)))
    )
