"""What the database itself refuses to do with plan versions, as SQL of its triggers."""

# A published version is what customers agreed to: nothing below it may change either.
FROZEN_WITH_VERSION = """
    IF EXISTS (SELECT 1 FROM billing_planversion v WHERE v.id IN ({ids}) AND v.state <> 'draft') THEN
        RAISE EXCEPTION 'this plan version is published: make a new version' USING ERRCODE = 'check_violation';
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
