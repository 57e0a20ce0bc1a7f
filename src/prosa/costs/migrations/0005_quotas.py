import django.core.validators
from django.db import migrations, models

FORWARD = r"""
-- How many requests every model with a quota has had: on a day, of all businesses, and in the present minute.
CREATE FUNCTION prosa_costs_requests(on_day date)
RETURNS TABLE (model text, per_day integer, per_minute integer, today bigint, this_minute bigint) LANGUAGE sql STABLE AS $$
  SELECT q.model::text, q.per_day, q.per_minute,
    (SELECT coalesce(sum(u.requests), 0) FROM prosa_costs_usageday u WHERE u.day = on_day AND u.model = q.model),
    (SELECT coalesce(sum(m.requests), 0) FROM prosa_costs_usageminute m
     WHERE m.model = q.model AND m.minute = date_trunc('minute', now()))
  FROM prosa_costs_modelquota q ORDER BY q.model
$$;

-- As in 0004, with the models whose quota is used up.
CREATE OR REPLACE FUNCTION prosa_costs_standing(business bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  today date;
  spent numeric;
  unpriced bigint;
  b prosa_costs_budget;
  exhausted jsonb;
BEGIN
  SELECT prosa_costs_today(timezone) INTO today FROM prosa_business_business WHERE id = business;
  SELECT coalesce(sum(cost), 0), coalesce(sum(unpriced_requests), 0) INTO spent, unpriced
  FROM prosa_costs_usageday WHERE business_id = business AND day = today;
  SELECT * INTO b FROM prosa_costs_budget WHERE business_id = business;
  -- Most have no quota: they pay one look at an empty table.
  IF EXISTS (SELECT FROM prosa_costs_modelquota) THEN
    SELECT jsonb_agg(e.model) INTO exhausted FROM prosa_costs_requests(today) e
    WHERE e.today >= e.per_day OR e.this_minute >= e.per_minute;
  END IF;
  RETURN jsonb_build_object('day', today, 'spent', spent::text, 'unpriced', unpriced,
    'day_soft', b.day_soft::text, 'day_hard', b.day_hard::text,
    'conversation_soft', b.conversation_soft::text, 'conversation_hard', b.conversation_hard::text,
    'turn_soft', b.turn_soft::text, 'turn_hard', b.turn_hard::text,
    'request_tokens', b.request_tokens, 'answer_tokens', b.answer_tokens,
    'exhausted', exhausted,
    'cheap_model', coalesce(b.cheap_model, ''), 'at_limit', coalesce(b.at_limit, 'approved'));
END $$;

-- As in 0004; also counts the minutes of models that have a quota a minute.
CREATE OR REPLACE FUNCTION prosa_costs_book(business bigint, on_day date, writer bigint, entries jsonb)
RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  total numeric := 0;
  entry record;
  price numeric;
BEGIN
  IF entries IS NULL THEN
    RETURN NULL;
  END IF;
  FOR entry IN
    SELECT * FROM jsonb_to_recordset(entries) AS e(model text, purpose text, requests integer, input_tokens bigint,
      output_tokens bigint, cached_tokens bigint, cost numeric) ORDER BY e.model, e.purpose
  LOOP
    price := prosa_costs_cost(entry.model, entry.input_tokens, entry.output_tokens, entry.cached_tokens, entry.cost);
    INSERT INTO prosa_costs_usageday AS u (business_id, day, model, purpose, slot, requests, input_tokens, output_tokens,
      cached_tokens, cost, unpriced_requests)
    VALUES (business, on_day, entry.model, entry.purpose, (writer % 16)::smallint, entry.requests, entry.input_tokens,
      entry.output_tokens, entry.cached_tokens, price, CASE WHEN price IS NULL THEN entry.requests ELSE 0 END)
    ON CONFLICT (business_id, day, model, purpose, slot) DO UPDATE SET
      requests = u.requests + excluded.requests,
      input_tokens = u.input_tokens + excluded.input_tokens,
      output_tokens = u.output_tokens + excluded.output_tokens,
      cached_tokens = u.cached_tokens + excluded.cached_tokens,
      cost = CASE WHEN excluded.cost IS NULL THEN u.cost ELSE coalesce(u.cost, 0) + excluded.cost END,
      unpriced_requests = u.unpriced_requests + excluded.unpriced_requests;
    -- A model with a quota a minute is rare: the others pay an empty look at a small table.
    IF EXISTS (SELECT FROM prosa_costs_modelquota q WHERE q.model = entry.model AND q.per_minute IS NOT NULL) THEN
      INSERT INTO prosa_costs_usageminute AS m (model, minute, requests)
      VALUES (entry.model, date_trunc('minute', clock_timestamp()), entry.requests)
      ON CONFLICT (model, minute) DO UPDATE SET requests = m.requests + excluded.requests;
      DELETE FROM prosa_costs_usageminute m WHERE m.model = entry.model AND m.minute < now() - interval '1 hour';
    END IF;
    IF price IS NOT NULL OR entry.purpose <> 'embedding' OR jsonb_array_length(entries) = 1 THEN
      total := total + price;
    END IF;
  END LOOP;
  RETURN total;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("prosa_business", "0007_specialists"),
        ("prosa_costs", "0004_any_zone"),
    ]

    operations = [
        migrations.CreateModel(
            name="ModelQuota",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "model",
                    models.CharField(
                        help_text="provider:model, exactly as the business names it.",
                        max_length=200,
                        unique=True,
                        verbose_name="model",
                    ),
                ),
                (
                    "per_day",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="requests a day",
                    ),
                ),
                (
                    "per_minute",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="requests a minute",
                    ),
                ),
            ],
            options={
                "verbose_name": "free tier",
                "verbose_name_plural": "free tiers",
            },
        ),
        migrations.CreateModel(
            name="UsageMinute",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "model", "minute", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("model", models.CharField(max_length=200)),
                ("minute", models.DateTimeField()),
                ("requests", models.IntegerField(db_default=0)),
            ],
        ),
        migrations.AddField(
            model_name="budget",
            name="whatsapp_month",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Conversations with a message of ours in this month. Nothing is stopped.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
                verbose_name="WhatsApp: warn from so many conversations a month",
            ),
        ),
        migrations.AddIndex(
            model_name="usageday",
            index=models.Index(fields=["day", "model"], name="prosa_usage_model"),
        ),
        migrations.RunSQL(FORWARD, migrations.RunSQL.noop),
    ]
