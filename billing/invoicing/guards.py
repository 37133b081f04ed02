"""The database's own guard against billing anything twice: triggers on invoices, lines and coverage.

The service computes; these refuse. Each raises `check_violation`, so it arrives as Django's `IntegrityError`.
"""

import pgtrigger

from billing.invoicing.states import INVOICE_MOVES
from customers.marking import touching

REFUSE = "USING ERRCODE = 'check_violation'"

INVOICE_TRIGGERS = [
    pgtrigger.FSM(name="invoice_moves", field="state", transitions=INVOICE_MOVES),
    pgtrigger.Protect(
        name="invoice_born_draft", operation=pgtrigger.Insert, condition=pgtrigger.Condition("NEW.state <> 'draft'")
    ),
    pgtrigger.Protect(
        name="invoice_kept", operation=pgtrigger.Delete, condition=pgtrigger.Condition("OLD.state <> 'draft'")
    ),
    pgtrigger.Protect(
        name="invoice_issued_frozen",
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(
            "OLD.state IN ('issued', 'skipped', 'void') AND NOT (OLD.state = 'issued' AND NEW.state = 'void'"
            " AND to_jsonb(OLD.*) - 'state' = to_jsonb(NEW.*) - 'state')"
        ),
    ),
    # What is void was reversed to the cent, by a document that is issued; the lines left over are none that it had.
    pgtrigger.Trigger(
        name="invoice_void_reversed",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.state = 'issued' AND NEW.state = 'void'"),
        func=f"""
            IF NOT EXISTS (SELECT 1 FROM billing_invoice r WHERE r.reverses_id = NEW.id AND r.state = 'issued') THEN
                RAISE EXCEPTION 'invoice % has no reversal: void it by the service', NEW.number {REFUSE};
            END IF;
            IF EXISTS (SELECT 1 FROM billing_invoiceline l JOIN billing_coverage c ON c.line_id = l.id
                       WHERE l.invoice_id = NEW.id AND c.credited_by_id IS NULL)
               OR EXISTS (SELECT 1 FROM billing_invoiceline l WHERE l.invoice_id = NEW.id AND l.slot_id IS NOT NULL
                          AND l.billed_before <> (SELECT o.desired FROM billing_invoiceline o
                                WHERE o.slot_id = l.slot_id AND o.revision IS NOT NULL
                                ORDER BY o.revision DESC LIMIT 1)) THEN
                RAISE EXCEPTION 'lines of invoice % still stand', NEW.number {REFUSE};
            END IF;
            RETURN NEW;
        """,
    ),
    pgtrigger.Protect(
        name="invoice_reverses_kept",
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.reverses_id IS DISTINCT FROM NEW.reverses_id"),
    ),
    pgtrigger.Protect(
        name="invoice_approved_frozen",
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(
            "OLD.state = 'approved' AND NEW.state <> 'draft' AND (OLD.customer_id, OLD.contract_id, OLD.entity_id,"
            ' OLD.kind, OLD."group", OLD.apart, OLD.currency, OLD.as_of, OLD.net, OLD.tax, OLD.total) IS DISTINCT'
            ' FROM (NEW.customer_id, NEW.contract_id, NEW.entity_id, NEW.kind, NEW."group", NEW.apart, NEW.currency,'
            " NEW.as_of, NEW.net, NEW.tax, NEW.total)"
        ),
    ),
    # An approved invoice is whole: every amount line has its revision, every fee its coverage, and the total adds up.
    pgtrigger.Trigger(
        name="invoice_whole",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.state = 'draft' AND NEW.state = 'approved'"),
        func=f"""
            IF EXISTS (SELECT 1 FROM billing_invoiceline l WHERE l.invoice_id = NEW.id
                       AND (l.kind <> 'recurring' AND l.revision IS NULL
                            OR l.kind = 'recurring' AND NOT EXISTS (SELECT 1 FROM billing_coverage c
                                WHERE c.line_id = l.id OR c.credited_by_id = l.id))) THEN
                RAISE EXCEPTION 'invoice % has lines without their guard', NEW.id {REFUSE};
            END IF;
            IF NEW.net <> (SELECT coalesce(sum(l.amount), 0) FROM billing_invoiceline l
                           WHERE l.invoice_id = NEW.id) THEN
                RAISE EXCEPTION 'invoice % does not add up to its net', NEW.id {REFUSE};
            END IF;
            RETURN NEW;
        """,
    ),
    # Its tax is that of its lines, and of its taxes one by one (R5.6).
    pgtrigger.Trigger(
        name="invoice_taxed",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.state = 'draft' AND NEW.state = 'approved'"),
        func=f"""
            IF NEW.tax <> (SELECT coalesce(sum(l.tax), 0) FROM billing_invoiceline l WHERE l.invoice_id = NEW.id)
               OR NEW.tax <> (SELECT coalesce(sum(t.tax), 0) FROM billing_invoicetax t WHERE t.invoice_id = NEW.id) THEN
                RAISE EXCEPTION 'the tax of invoice % is not that of its lines and rates', NEW.id {REFUSE};
            END IF;
            RETURN NEW;
        """,
    ),
    # Four eyes, where the seller wants them: whoever prepared a draft approves it only as an override, nobody only by
    # a policy.
    pgtrigger.Trigger(
        name="invoice_four_eyes",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.state = 'draft' AND NEW.state = 'approved'"),
        func=f"""
            IF (SELECT e.four_eyes FROM customers_legalentity e WHERE e.id = NEW.entity_id)
               AND (NEW.approved_by_id IS NULL OR EXISTS (SELECT 1 FROM billing_preparation p
                    WHERE p.invoice_id = NEW.id AND p.user_id = NEW.approved_by_id))
               AND NOT EXISTS (SELECT 1 FROM billing_approval a WHERE a.invoice_id = NEW.id
                    AND a.at = NEW.approved_at AND a.user_id IS NOT DISTINCT FROM NEW.approved_by_id) THEN
                RAISE EXCEPTION 'invoice % needs four eyes: somebody else approves it', NEW.id {REFUSE};
            END IF;
            RETURN NEW;
        """,
    ),
    # Approval records what was drafted; what is sent back or void is recorded no more: both change what is to bill.
    *touching(
        "SELECT s.contract_id FROM rows r JOIN billing_invoiceline l ON l.invoice_id = r.id"
        " JOIN billing_stream s ON s.id = l.stream_id",
        columns="id, state = 'draft', state = 'void'",
        operations=("update",),
    ),
]

LINE_TRIGGERS = [
    # What a draft loses must be drawn up again, whoever took it.
    *touching("SELECT s.contract_id FROM rows r JOIN billing_stream s ON s.id = r.stream_id", operations=("delete",)),
    # Lines move with their invoice: only a draft's may be written (approval writes revisions before the state).
    pgtrigger.Trigger(  # once for all lines that a statement brings: a run brings thousands
        name="lines_of_draft",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="fresh"),  # type: ignore[no-untyped-call]
        func=f"""
            IF EXISTS (SELECT 1 FROM fresh f JOIN billing_invoice i ON i.id = f.invoice_id
                       WHERE i.state <> 'draft') THEN
                RAISE EXCEPTION 'the lines of an approved or issued invoice are frozen' {REFUSE};
            END IF;
            RETURN NULL;
        """,
    ),
    pgtrigger.Trigger(
        name="line_of_draft",
        when=pgtrigger.Before,
        operation=pgtrigger.Update | pgtrigger.Delete,
        func=f"""
            IF EXISTS (SELECT 1 FROM billing_invoice i
                       WHERE i.id IN (NEW.invoice_id, OLD.invoice_id) AND i.state <> 'draft') THEN
                RAISE EXCEPTION 'the lines of an approved or issued invoice are frozen' {REFUSE};
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,
    ),
    # Revision n stands on what revision n - 1 desired. The lock on the slot puts two approvals one after the other.
    pgtrigger.Trigger(
        name="line_revision",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update,
        condition=pgtrigger.Condition("NEW.revision IS NOT NULL"),
        declare=[("stands", "numeric"), ("last", "integer")],
        func=f"""
            PERFORM 1 FROM billing_slot WHERE id = NEW.slot_id FOR UPDATE;
            SELECT l.revision, l.desired INTO last, stands FROM billing_invoiceline l
                WHERE l.slot_id = NEW.slot_id AND l.revision IS NOT NULL AND l.id <> NEW.id
                ORDER BY l.revision DESC LIMIT 1;
            IF NEW.revision <> coalesce(last, 0) + 1 OR NEW.billed_before <> coalesce(stands, 0) THEN
                RAISE EXCEPTION 'slot % moved on: it stands at revision % with %', NEW.slot_id, coalesce(last, 0),
                    coalesce(stands, 0) {REFUSE};
            END IF;
            RETURN NEW;
        """,
    ),
    pgtrigger.Trigger(
        name="line_revision_kept",
        when=pgtrigger.Before,
        operation=pgtrigger.Update | pgtrigger.Delete,
        condition=pgtrigger.Condition("OLD.revision IS NOT NULL"),
        func=f"""
            PERFORM 1 FROM billing_slot WHERE id = OLD.slot_id FOR UPDATE;
            IF EXISTS (SELECT 1 FROM billing_invoiceline l
                       WHERE l.slot_id = OLD.slot_id AND l.revision > OLD.revision) THEN
                RAISE EXCEPTION 'slot % has a later revision: take that one back first', OLD.slot_id {REFUSE};
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,
    ),
]

COVERAGE_TRIGGERS = [
    # A credit takes at most what its line still stands for.
    pgtrigger.Trigger(
        name="coverage_credit",
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.Update,
        condition=pgtrigger.Condition("NEW.credited_by_id IS NOT NULL"),
        declare=[("billed", "numeric"), ("credited", "numeric")],
        func=f"""
            SELECT l.amount INTO billed FROM billing_invoiceline l WHERE l.id = NEW.line_id FOR UPDATE;
            SELECT coalesce(sum(l.amount), 0) INTO credited FROM billing_invoiceline l
                WHERE l.corrects_id = NEW.line_id AND l.kind = 'recurring'
                  AND EXISTS (SELECT 1 FROM billing_coverage c WHERE c.credited_by_id = l.id);
            IF (billed + credited) * sign(billed) < 0 THEN
                RAISE EXCEPTION 'credits of line % exceed what it stands for', NEW.line_id {REFUSE};
            END IF;
            RETURN NULL;
        """,
    ),
    # Only an invoice on its way to approval, or back from it, credits coverage or takes the credit back.
    pgtrigger.Trigger(
        name="coverage_of_draft",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        func=f"""
            IF EXISTS (SELECT 1 FROM billing_invoiceline l JOIN billing_invoice i ON i.id = l.invoice_id
                       WHERE l.id IN (NEW.credited_by_id, OLD.credited_by_id) AND i.state <> 'draft') THEN
                RAISE EXCEPTION 'this coverage was credited by an approved invoice' {REFUSE};
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,
    ),
    # Whatever is split or credited, the coverage of a recorded line still spans its whole service period.
    pgtrigger.Trigger(
        name="coverage_whole",
        level=pgtrigger.Row,
        when=pgtrigger.After,
        timing=pgtrigger.Deferred,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        func=f"""
            IF EXISTS (SELECT 1 FROM billing_invoiceline l JOIN billing_invoice i ON i.id = l.invoice_id
                       WHERE l.id IN (NEW.line_id, OLD.line_id) AND i.state <> 'draft'
                         AND (SELECT sum(c."end" - c.start) FROM billing_coverage c WHERE c.line_id = l.id)
                             IS DISTINCT FROM l.service_end - l.service_start) THEN
                RAISE EXCEPTION 'the coverage of line % does not span its service period',
                    coalesce(NEW.line_id, OLD.line_id) {REFUSE};
            END IF;
            RETURN NULL;
        """,
    ),
]
