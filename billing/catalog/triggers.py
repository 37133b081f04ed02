"""What the database itself refuses to do with plan versions, as SQL of its triggers."""

# A published version is what customers agreed to: nothing below it may change either.
FROZEN_WITH_VERSION = """
    IF EXISTS (SELECT 1 FROM billing_planversion v WHERE v.id IN ({ids}) AND v.state <> 'draft') THEN
        RAISE EXCEPTION 'this plan version is published: make a new version' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
"""

# What a customer's term adds stands as it was agreed: another charge takes its place.
FROZEN_WITH_TERM = """
    IF EXISTS (SELECT 1 FROM billing_subscriptionterm t WHERE t.charge_id = {id}) THEN
        RAISE EXCEPTION 'this charge was agreed with a customer: add another one' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
"""

# Who retires a published version stamps it; nothing else about it ever changes.
RETIREMENT = "ARRAY['state', 'retired_at', 'retired_by_id']"
VERSION_FROZEN = f"""OLD.state <> 'draft' AND OLD.* IS DISTINCT FROM NEW.* AND (OLD.state = NEW.state
    OR to_jsonb(OLD) - {RETIREMENT} IS DISTINCT FROM to_jsonb(NEW) - {RETIREMENT})"""

NOT_OF_RETIRED = """
    IF EXISTS (SELECT 1 FROM billing_planversion v WHERE v.id = NEW.version_id AND v.state = 'retired')
       AND NOT EXISTS (SELECT 1 FROM billing_subscriptioninterval i
                       WHERE i.subscription_id = NEW.subscription_id AND i.version_id = NEW.version_id) THEN
        RAISE EXCEPTION 'a retired plan version takes no new subscriptions' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""

# `billing_meters_counted` (migration 0012) tells which meters each subscription of a customer counts, and when: those
# of its plan versions and of what its own terms add, without what they remove or move to another meter.
METER_CLASH = """
    SELECT k.customer_id INTO buyer FROM billing_subscription s
        JOIN customers_contract k ON k.id = s.contract_id WHERE s.id = NEW.subscription_id;
    -- Two writers at once must see each other: the same lock as billing's, per customer.
    PERFORM pg_advisory_xact_lock(7001, buyer::int);
    -- Most customers have one subscription, which can clash with none.
    IF EXISTS (SELECT 1 FROM billing_subscription s JOIN customers_contract k ON k.id = s.contract_id
               WHERE k.customer_id = buyer AND s.id <> NEW.subscription_id) THEN
        WITH counted AS MATERIALIZED (SELECT * FROM billing_meters_counted(buyer))
        SELECT mine.meter INTO clash FROM counted mine JOIN counted other USING (meter)
            WHERE mine.subscription_id = NEW.subscription_id AND other.subscription_id <> NEW.subscription_id
              AND mine.during && other.during LIMIT 1;
    END IF;
    IF clash IS NOT NULL THEN
        RAISE EXCEPTION 'meter % is counted by another subscription of this customer at that time', clash
            USING ERRCODE = 'exclusion_violation';
    END IF;
    RETURN NULL;
"""

INTERVAL_BOUND = f"""
    IF EXISTS (SELECT 1 FROM billing_planversion v WHERE v.id = NEW.version_id AND v.state = 'draft') THEN
        RAISE EXCEPTION 'only a published plan version can be subscribed to' USING ERRCODE = 'check_violation';
    END IF;
    {METER_CLASH}
"""
