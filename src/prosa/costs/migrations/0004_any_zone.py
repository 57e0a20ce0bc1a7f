from django.db import migrations

FORWARD = r"""
-- The date at a place now. A zone that this server does not know (its list is not Python's) is taken for UTC: money must
-- be counted on some day.
CREATE FUNCTION prosa_costs_today(zone text) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (now() AT TIME ZONE zone)::date;
EXCEPTION WHEN invalid_parameter_value THEN
  RETURN (now() AT TIME ZONE 'UTC')::date;
END $$;

-- As in 0003, on any zone.
CREATE OR REPLACE FUNCTION prosa_costs_standing(business bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  today date;
  spent numeric;
  unpriced bigint;
  b prosa_costs_budget;
BEGIN
  SELECT prosa_costs_today(timezone) INTO today FROM prosa_business_business WHERE id = business;
  SELECT coalesce(sum(cost), 0), coalesce(sum(unpriced_requests), 0) INTO spent, unpriced
  FROM prosa_costs_usageday WHERE business_id = business AND day = today;
  SELECT * INTO b FROM prosa_costs_budget WHERE business_id = business;
  RETURN jsonb_build_object('day', today, 'spent', spent::text, 'unpriced', unpriced,
    'day_soft', b.day_soft::text, 'day_hard', b.day_hard::text,
    'conversation_soft', b.conversation_soft::text, 'conversation_hard', b.conversation_hard::text,
    'turn_soft', b.turn_soft::text, 'turn_hard', b.turn_hard::text,
    'request_tokens', b.request_tokens, 'answer_tokens', b.answer_tokens,
    'cheap_model', coalesce(b.cheap_model, ''), 'at_limit', coalesce(b.at_limit, 'approved'));
END $$;

-- As in 0002. A question's embedding costs next to nothing: where its price is not known, that of the answer it was made
-- for still is.
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
    IF price IS NOT NULL OR entry.purpose <> 'embedding' OR jsonb_array_length(entries) = 1 THEN
      total := total + price;
    END IF;
  END LOOP;
  RETURN total;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_costs", "0003_requests")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
