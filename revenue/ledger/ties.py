"""Ties: what balance-sheet accounts of the ledger say against what their documents and recognitions add up to (R7.7).

Receivables = Σ issued invoices − Σ allocated payments + Σ balance entries of documents − Σ write-offs that stand;
customer balance = Σ what payments left over + Σ other balance entries; deferred revenue = Σ billed fees − Σ recognised
of them; unbilled receivable = Σ recognised usage − Σ billed usage; tax payable = Σ taxes of invoices and credit notes.
All at the posting position: a document counts once the books took it.
"""

from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from customers.models import LegalEntity
from revenue.ledger import chart

SIDES = f"""
    posted AS (
        SELECT o.kind, o.object_id, p.position FROM revenue_posting p JOIN billing_outbox o ON o.id = p.outbox_id
    ), invoices AS (
        SELECT i.* FROM billing_invoice i JOIN posted p ON p.kind = 'invoice_issued' AND p.object_id = i.id
    ), sides (account, entity_id, currency, ledger, documents) AS (
        SELECT a.code, e.entity_id, l.currency,
               sum(CASE WHEN a.code IN ('{chart.DEFERRED}', '{chart.CUSTOMER_BALANCE}', '{chart.TAX}')
                        THEN l.credit - l.debit ELSE l.debit - l.credit END), 0
            FROM revenue_journalline l JOIN revenue_journalentry e ON e.id = l.entry_id
            JOIN revenue_account a ON a.id = l.account_id
            WHERE a.code IN ('{chart.RECEIVABLE}', '{chart.UNBILLED}', '{chart.DEFERRED}', '{chart.CUSTOMER_BALANCE}',
                             '{chart.TAX}')
            GROUP BY 1, 2, 3
        UNION ALL
        SELECT '{chart.RECEIVABLE}', entity_id, currency, 0, sum(total) FROM invoices GROUP BY 2, 3
        UNION ALL
        SELECT '{chart.TAX}', i.entity_id, i.currency, 0, sum(t.tax)
            FROM invoices i JOIN billing_invoicetax t ON t.invoice_id = i.id WHERE t.tax <> 0 GROUP BY 2, 3
        UNION ALL
        SELECT '{chart.RECEIVABLE}', y.entity_id, y.currency, 0, -sum(a.amount)
            FROM billing_payment y JOIN posted p ON p.kind = 'payment_recorded' AND p.object_id = y.id
            JOIN billing_allocation a ON a.payment_id = y.id GROUP BY 2, 3
        UNION ALL
        SELECT '{chart.CUSTOMER_BALANCE}', y.entity_id, y.currency, 0, sum(y.amount - y.allocated)
            FROM (SELECT y.*, coalesce((SELECT sum(a.amount) FROM billing_allocation a WHERE a.payment_id = y.id), 0)
                      AS allocated FROM billing_payment y) y
            JOIN posted p ON p.kind = 'payment_recorded' AND p.object_id = y.id
            WHERE y.amount <> y.allocated GROUP BY 2, 3
        UNION ALL
        SELECT side.account, t.entity_id, t.currency, 0, sum(b.amount)
            FROM billing_balanceentry b JOIN posted p ON p.kind = 'balance_moved' AND p.object_id = b.id
            JOIN billing_balanceaccount t ON t.id = b.account_id
            CROSS JOIN (VALUES ('{chart.RECEIVABLE}'), ('{chart.CUSTOMER_BALANCE}')) side (account)
            WHERE side.account = '{chart.CUSTOMER_BALANCE}' OR b.invoice_id IS NOT NULL GROUP BY 1, 2, 3
        UNION ALL
        SELECT '{chart.RECEIVABLE}', i.entity_id, i.currency, 0,
               sum(CASE p.kind WHEN 'write_off_booked' THEN -w.amount ELSE w.amount END)
            FROM billing_writeoff w
            JOIN posted p ON p.kind IN ('write_off_booked', 'write_off_reversed') AND p.object_id = w.id
            JOIN billing_invoice i ON i.id = w.invoice_id GROUP BY 2, 3
        UNION ALL
        SELECT CASE WHEN l.by_day THEN '{chart.DEFERRED}' ELSE '{chart.UNBILLED}' END, i.entity_id, i.currency,
               0, sum(CASE WHEN l.by_day THEN l.amount ELSE -l.amount END)
            FROM invoices i JOIN (
                SELECT l.invoice_id, l.amount, l.slot_id IS NULL OR l.kind = 'one_off'
                       OR l.kind IN ('coupon', 'discount')
                       AND coalesce(c.kind = 'recurring', false) AS by_day  -- as obligations.by_day
                FROM billing_invoiceline l LEFT JOIN billing_charge c ON c.id = l.charge_id
            ) l ON l.invoice_id = i.id GROUP BY 1, 2, 3
        UNION ALL
        SELECT CASE o.kind WHEN 'usage' THEN '{chart.UNBILLED}' ELSE '{chart.DEFERRED}' END, o.entity_id, o.currency,
               0, sum(CASE o.kind WHEN 'usage' THEN r.amount ELSE -r.amount END)
            FROM revenue_recognition r JOIN revenue_obligation o ON o.id = r.obligation_id GROUP BY 1, 2, 3
    )
"""


@dataclass(frozen=True, slots=True)
class Tie:
    """One account of one entity in one currency, natural sign: the ledger's balance and the documents'."""

    entity: str
    account: str
    name: str
    currency: str
    ledger: Decimal
    documents: Decimal

    @property
    def difference(self) -> Decimal:
        """Ledger less documents; anything but zero is an error."""
        return self.ledger - self.documents


@dataclass(frozen=True, slots=True)
class Ties:
    """All ties at a posting position."""

    position: int
    rows: tuple[Tie, ...]

    @property
    def hold(self) -> bool:
        """Whether every difference is zero."""
        return not any(row.difference for row in self.rows)


def ties(*, entity: LegalEntity | None = None) -> Ties:
    """The ties of one legal entity, or of all; one statement, so that all sides are of the same moment."""
    sql = f"""
        WITH {SIDES}, tied AS (
            SELECT n.code AS entity, a.code AS account, a.name, s.currency, sum(s.ledger) AS ledger,
                   sum(s.documents) AS documents
            FROM sides s JOIN customers_legalentity n ON n.id = s.entity_id JOIN revenue_account a ON a.code = s.account
            WHERE %(entity)s::bigint IS NULL OR s.entity_id = %(entity)s GROUP BY 1, 2, 3, 4
        )
        SELECT at.position, tied.* FROM (SELECT coalesce(max(position), 0) AS position FROM posted) at
        LEFT JOIN tied ON true ORDER BY entity, account, currency
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, {"entity": entity.pk if entity else None})
        found = cursor.fetchall()
    return Ties(found[0][0], tuple(Tie(*row) for _, *row in found if row[0] is not None))
