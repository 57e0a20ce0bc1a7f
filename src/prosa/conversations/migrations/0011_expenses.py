import django.db.models.deletion
from django.db import migrations, models


FORWARD = r"""
-- Books what a model did for a conversation beside its answers: on the business's day and on the conversation. Returns what
-- it cost together, NULL when a price is unknown.
CREATE FUNCTION prosa_conversations_spend(conversation bigint, business bigint, on_day date, entries jsonb)
RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  total numeric := 0;
  entry jsonb;
  price numeric;
BEGIN
  -- In one order, so that two that book the same rows never wait for each other in a circle.
  FOR entry IN SELECT e FROM jsonb_array_elements(entries) e ORDER BY e->>'model', e->>'purpose' LOOP
    price := prosa_costs_book(business, on_day, conversation, jsonb_build_array(entry));
    INSERT INTO prosa_conversations_expense AS x (conversation_id, business_id, purpose, model, requests, input_tokens,
      output_tokens, cost, unpriced_requests)
    SELECT c.id, business, entry->>'purpose', entry->>'model', (entry->>'requests')::integer, (entry->>'input_tokens')::bigint,
      (entry->>'output_tokens')::bigint, price, CASE WHEN price IS NULL THEN (entry->>'requests')::integer ELSE 0 END
    FROM prosa_conversations_conversation c WHERE c.id = conversation AND c.business_id = business
    ON CONFLICT (conversation_id, purpose, model) DO UPDATE SET
      requests = x.requests + excluded.requests,
      input_tokens = x.input_tokens + excluded.input_tokens,
      output_tokens = x.output_tokens + excluded.output_tokens,
      cost = CASE WHEN excluded.cost IS NULL THEN x.cost ELSE coalesce(x.cost, 0) + excluded.cost END,
      unpriced_requests = x.unpriced_requests + excluded.unpriced_requests;
    total := total + price;
  END LOOP;
  RETURN total;
END $$;

-- What a conversation cost so far, answers and all else, and its dearest answer: what the gate judges by and the pages show.
CREATE FUNCTION prosa_conversations_spent(conversation bigint) RETURNS numeric[] LANGUAGE sql STABLE AS $$
  SELECT ARRAY[
    coalesce(sum(t.cost), 0)
      + coalesce((SELECT sum(x.cost) FROM prosa_conversations_expense x WHERE x.conversation_id = conversation), 0),
    max(t.cost)]
  FROM prosa_conversations_turn t WHERE t.conversation_id = conversation
$$;
"""
BACKWARD = """
DROP FUNCTION prosa_conversations_spent(bigint);
DROP FUNCTION prosa_conversations_spend(bigint, bigint, date, jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("prosa_business", "0007_specialists"),
        ("prosa_conversations", "0010_deeds"),
        ("prosa_costs", "0004_any_zone"),
    ]

    operations = [
        migrations.CreateModel(
            name="Expense",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("purpose", models.CharField(max_length=20, verbose_name="purpose")),
                ("model", models.CharField(max_length=200, verbose_name="model")),
                ("requests", models.IntegerField(db_default=0, verbose_name="model requests")),
                ("input_tokens", models.BigIntegerField(db_default=0, verbose_name="tokens in")),
                ("output_tokens", models.BigIntegerField(db_default=0, verbose_name="tokens out")),
                ("cost", models.DecimalField(decimal_places=8, max_digits=16, null=True, verbose_name="cost (US$)")),
                ("unpriced_requests", models.IntegerField(db_default=0)),
                (
                    "business",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="prosa_business.business",
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="expenses",
                        to="prosa_conversations.conversation",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("conversation", "purpose", "model"), name="prosa_expense_once")
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
