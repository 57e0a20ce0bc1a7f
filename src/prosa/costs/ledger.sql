-- What was used. The functions are in the migration 0002_functions.

-- name: book
SELECT prosa_costs_book(%(business_id)s, %(day)s, %(slot)s, %(entries)s::jsonb)

-- name: notice
INSERT INTO prosa_costs_budgetnotice (business_id, day, step, scope, spent)
VALUES (%(business_id)s, %(day)s, %(step)s, %(scope)s, %(spent)s) ON CONFLICT DO NOTHING
