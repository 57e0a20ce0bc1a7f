import django.core.validators
from django.db import migrations, models

FORWARD = r"""
-- As in 0002, with what one request may bring and write.
CREATE OR REPLACE FUNCTION prosa_costs_standing(business bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
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
    'request_tokens', b.request_tokens, 'answer_tokens', b.answer_tokens,
    'cheap_model', coalesce(b.cheap_model, ''), 'at_limit', coalesce(b.at_limit, 'approved'));
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_costs", "0002_functions")]
    operations = [
        migrations.AddField(
            "budget",
            "request_tokens",
            models.PositiveIntegerField(
                "a request: tokens in, at most",
                null=True,
                blank=True,
                validators=[django.core.validators.MinValueValidator(1000)],
                help_text="What was said before gives way first, then tools; guidelines always stay.",
            ),
        ),
        migrations.AddField(
            "budget",
            "answer_tokens",
            models.PositiveIntegerField(
                "a request: tokens out, at most",
                null=True,
                blank=True,
                validators=[django.core.validators.MinValueValidator(50)],
            ),
        ),
        migrations.RunSQL(FORWARD, migrations.RunSQL.noop),
    ]
