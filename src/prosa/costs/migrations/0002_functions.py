from django.db import migrations

FORWARD = r"""
-- US dollars of one use, NULL when nobody knows. What a person entered goes first; then what the caller was told by the
-- provider's catalogue, which knows addresses and tiers; then the catalogue's price as it was stored.
CREATE FUNCTION prosa_costs_cost(used text, input_used bigint, output_used bigint, cached_used bigint, told numeric)
RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE price prosa_costs_modelprice;
BEGIN
  SELECT * INTO price FROM prosa_costs_modelprice p
  WHERE p.valid_from <= current_date
    AND lower(used) LIKE replace(replace(replace(replace(lower(p.pattern), '\', '\\'), '_', '\_'), '%', '\%'), '*', '%')
  ORDER BY p.source = 'person' DESC, length(replace(p.pattern, '*', '')) DESC, p.valid_from DESC, p.id DESC LIMIT 1;
  IF price.id IS NULL OR (price.source <> 'person' AND told IS NOT NULL) THEN
    RETURN told;
  END IF;
  RETURN (greatest(input_used - cached_used, 0) * price.input + cached_used * coalesce(price.cached, price.input)
          + output_used * price.output) / 1000000;
END $$;

-- Adds uses to the ledger and returns what they cost together, NULL when a price is unknown. Rows are taken in the order
-- of their keys, so that two that book the same ones never wait for each other in a circle.
CREATE FUNCTION prosa_costs_book(business bigint, on_day date, writer bigint, entries jsonb)
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
    total := total + price;
  END LOOP;
  RETURN total;
END $$;

-- What a business spent on its present day, and its limits. Money as text: jsonb's readers would make floats of it.
CREATE FUNCTION prosa_costs_standing(business bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  today date;
  spent numeric;
  unpriced bigint;
  b prosa_costs_budget;
BEGIN
  SELECT (now() AT TIME ZONE timezone)::date INTO today FROM prosa_business_business WHERE id = business;
  SELECT coalesce(sum(cost), 0), coalesce(sum(unpriced_requests), 0) INTO spent, unpriced
  FROM prosa_costs_usageday WHERE business_id = business AND day = today;
  SELECT * INTO b FROM prosa_costs_budget WHERE business_id = business;
  RETURN jsonb_build_object('day', today, 'spent', spent::text, 'unpriced', unpriced,
    'day_soft', b.day_soft::text, 'day_hard', b.day_hard::text,
    'conversation_soft', b.conversation_soft::text, 'conversation_hard', b.conversation_hard::text,
    'turn_soft', b.turn_soft::text, 'turn_hard', b.turn_hard::text,
    'cheap_model', coalesce(b.cheap_model, ''), 'at_limit', coalesce(b.at_limit, 'approved'));
END $$;
"""
BACKWARD = """
DROP FUNCTION prosa_costs_standing(bigint);
DROP FUNCTION prosa_costs_book(bigint, date, bigint, jsonb);
DROP FUNCTION prosa_costs_cost(text, bigint, bigint, bigint, numeric);
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_costs", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
