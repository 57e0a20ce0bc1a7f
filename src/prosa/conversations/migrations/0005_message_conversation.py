import django.db.models.deletion
from django.db import migrations, models

# The foreign key's other half. Its first half, that the conversation exists, is the lock every insert takes on it.
FORWARD = """
CREATE FUNCTION prosa_conversation_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM prosa_conversations_message m WHERE m.conversation_id = OLD.id) THEN
        RAISE foreign_key_violation USING MESSAGE = format('Conversation %s has messages. Delete them first.', OLD.id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER prosa_conversation_kept AFTER DELETE ON prosa_conversations_conversation
    FOR EACH ROW EXECUTE FUNCTION prosa_conversation_kept();
"""
BACKWARD = """
DROP TRIGGER prosa_conversation_kept ON prosa_conversations_conversation;
DROP FUNCTION prosa_conversation_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_conversations", "0004_fewer_indexes")]
    operations = [
        migrations.AlterField(
            model_name="message",
            name="conversation",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to="prosa_conversations.conversation",
                verbose_name="conversation",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
