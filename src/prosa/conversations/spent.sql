-- What a conversation cost. The functions are in the migration 0011_expenses.

-- name: spend
SELECT prosa_conversations_spend(%(conversation_id)s, %(business_id)s, %(day)s, %(entries)s::jsonb)
