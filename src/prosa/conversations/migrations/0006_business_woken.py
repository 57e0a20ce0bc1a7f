from django.db import migrations

# A business that is switched on again takes up what waits. Here, because its switch lies in a layer that knows no
# conversations, and because it may be turned by SQL as well.
FORWARD = """
CREATE FUNCTION prosa_business_woken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at)
    SELECT c.id, 1, now() FROM prosa_conversations_conversation c
    WHERE c.business_id = NEW.id AND c.state IN ('bot', 'awaiting_agent')
      AND EXISTS (SELECT FROM prosa_conversations_message m WHERE m.conversation_id = c.id AND m.pending)
    ORDER BY c.id
    ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = now(), attempts = 0, dead_at = NULL;
    PERFORM pg_notify('prosa_dispatch', '');
    RETURN NULL;
END $$;
CREATE TRIGGER prosa_business_woken AFTER UPDATE OF active ON prosa_business_business
    FOR EACH ROW WHEN (NEW.active AND NOT OLD.active) EXECUTE FUNCTION prosa_business_woken();
"""
BACKWARD = """
DROP TRIGGER prosa_business_woken ON prosa_business_business;
DROP FUNCTION prosa_business_woken();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("prosa_business", "0001_initial"),
        ("prosa_conversations", "0005_message_conversation"),
    ]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
