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

# Which meters each subscription of a customer counts, and when. Any two versions of a meter count the same usage; what a
# customer's terms remove or move elsewhere is not counted, what they add or move here is.
METERS_COUNTED = """
CREATE FUNCTION billing_meters_counted(buyer bigint)
    RETURNS TABLE (subscription_id bigint, meter varchar, during tstzmultirange) LANGUAGE sql STABLE AS $$
    WITH bound AS (
        SELECT i.subscription_id, i.version_id, tstzrange(i.start, i."end") AS during
            FROM billing_subscriptioninterval i
            JOIN billing_subscription s ON s.id = i.subscription_id
            JOIN customers_contract k ON k.id = s.contract_id
            WHERE k.customer_id = buyer AND i.superseded_at IS NULL
    ), life AS (
        SELECT b.subscription_id, range_agg(b.during) AS during FROM bound b GROUP BY 1
    ), own AS (
        SELECT t.subscription_id, t.kind, t.code_id, t.charge_id, t.meter_id,
               tstzmultirange(tstzrange(t.start, t."end")) * l.during AS during
            FROM billing_subscriptionterm t JOIN life l USING (subscription_id)
            WHERE t.superseded_at IS NULL AND t.kind IN ('add', 'meter', 'remove')
    ), charges AS (
        SELECT b.subscription_id, c.code_id, c.meter_id, tstzmultirange(b.during) - coalesce(
                   (SELECT range_agg(each) FROM own o, unnest(o.during) each WHERE o.kind = 'remove'
                        AND o.subscription_id = b.subscription_id AND o.code_id = c.code_id), '{}') AS during
            FROM bound b JOIN billing_charge c ON c.version_id = b.version_id WHERE c.meter_id IS NOT NULL
        UNION ALL
        SELECT o.subscription_id, c.code_id, c.meter_id, o.during
            FROM own o JOIN billing_charge c ON c.id = o.charge_id WHERE c.meter_id IS NOT NULL
    )
    SELECT c.subscription_id, m.code, c.during - coalesce(
               (SELECT range_agg(each) FROM own o, unnest(o.during) each WHERE o.kind = 'meter'
                    AND o.subscription_id = c.subscription_id AND o.code_id = c.code_id), '{}')
        FROM charges c JOIN billing_meter m ON m.id = c.meter_id
    UNION ALL
    SELECT o.subscription_id, m.code, o.during FROM own o JOIN billing_meter m ON m.id = o.meter_id
$$
"""

METER_CLASH = """
    SELECT k.customer_id INTO buyer FROM billing_subscription s
        JOIN customers_contract k ON k.id = s.contract_id WHERE s.id = NEW.subscription_id;
    -- Two writers at once must see each other: the same lock as billing's, per customer.
    PERFORM pg_advisory_xact_lock(7001, buyer::int);
    WITH counted AS MATERIALIZED (SELECT * FROM billing_meters_counted(buyer))
    SELECT mine.meter INTO clash FROM counted mine JOIN counted other USING (meter)
        WHERE mine.subscription_id = NEW.subscription_id AND other.subscription_id <> NEW.subscription_id
          AND mine.during && other.during LIMIT 1;
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
