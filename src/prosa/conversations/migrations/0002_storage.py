from django.db import migrations

# Rows of the queue and of conversations change all the time: room on the page keeps updates heap-only, and vacuum comes
# by size, not by share. The sequence numbers worker processes (dispatch.owner).
FORWARD = """
CREATE SEQUENCE prosa_worker_owner AS integer;
ALTER TABLE prosa_conversations_dispatch SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE prosa_conversations_conversation SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE prosa_conversations_message SET (fillfactor = 85);
ALTER TABLE prosa_conversations_webhookevent ALTER COLUMN body SET STORAGE EXTERNAL;
"""
BACKWARD = "DROP SEQUENCE prosa_worker_owner;"


class Migration(migrations.Migration):
    dependencies = [("prosa_conversations", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
