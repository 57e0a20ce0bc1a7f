-- Everything a turn knows, in one short look.

-- name: context
-- The columns are those of begin.Found.
SELECT c.state, c.epoch, c.business_id, c.inbox_id, c.wait_notice_at, ct.name, ct.blocked_at IS NOT NULL,
       b.name, b.locale, b.timezone, b.active, b.model, b.fallback_models, b.request_deadline_s, b.turn_deadline_s,
       b.history_tokens, b.max_age_hours, b.wait_notice_minutes, coalesce(g.text, ''), coalesce(g.rules, '[]'), coalesce(g.version, 0),
       (SELECT array_agg(ARRAY[i.key, i.address] ORDER BY i.id) FROM prosa_contacts_identity i
        WHERE i.contact_id = c.contact_id AND i.origin_id IS NOT DISTINCT FROM c.writer_id),
       k.standing,
       CASE WHEN num_nonnulls(l.conversation_soft, l.conversation_hard, l.turn_soft, l.turn_hard) > 0 THEN
           prosa_conversations_spent(c.id) END,
       EXISTS (SELECT FROM prosa_knowledge_chunk n WHERE n.business_id = b.id),
       EXISTS (SELECT FROM prosa_knowledge_approvedanswer a WHERE a.business_id = b.id AND a.active),
       ARRAY[b.voice_replies, b.voice, b.voice_words], b.strict_topics,
       c.specialist, c.contact_id,
       (SELECT jsonb_agg(jsonb_build_array(s.name, s.about, s.instructions, s.keywords, s.model) ORDER BY s.position, s.id)
        FROM prosa_business_specialist s WHERE s.business_id = b.id AND s.active),
       jsonb_build_object('contact', c.contact_id, 'since', c.context_from, 'words', b.reset_words, 'summary', sm.text, 'through', sm.through_id,
           'before', CASE WHEN c.context_from = 0 AND sm.text IS NULL THEN
               (SELECT s.text || ' (' || to_char(s.written_at, 'YYYY-MM-DD') || ')' FROM (
                    SELECT o.id, o.context_from FROM prosa_conversations_conversation o
                    WHERE o.contact_id = c.contact_id AND o.inbox_id = c.inbox_id AND o.business_id = c.business_id AND o.id < c.id
                    ORDER BY o.id DESC LIMIT 1) o
                JOIN prosa_conversations_summary s ON s.conversation_id = o.id AND s.through_id > o.context_from
                ORDER BY s.through_id DESC LIMIT 1) END,
           'silence', b.session_length * CASE b.session_unit WHEN 'hours' THEN 1 WHEN 'days' THEN 24 ELSE 168 END,
           'facts', (SELECT jsonb_agg(jsonb_build_array(f.id, f.text || ' (' || to_char(f.created_at, 'YYYY-MM-DD') || ')') ORDER BY f.id) FROM prosa_contacts_fact f
                     WHERE f.contact_id = c.contact_id AND f.business_id = c.business_id AND (f.expires_at IS NULL OR f.expires_at > now()))),
       EXISTS (SELECT FROM prosa_conversations_pendingaction pa WHERE pa.conversation_id = c.id AND pa.told_at IS NULL),
       (SELECT p.identities FROM prosa_conversations_identityproof p
        WHERE p.conversation_id = c.id AND p.contact_id = c.contact_id AND p.status = 'proved' AND p.expires_at > now() ORDER BY p.id DESC LIMIT 1),
       c.state_at, ARRAY[b.handoff_words, b.handoff_text, b.failures_before_handoff::text, b.handoff_without],
       (SELECT jsonb_agg(jsonb_build_array(t.name, t.about) ORDER BY t.name) FROM prosa_business_team t WHERE t.business_id = b.id),
       b.case_minutes > 0 AND EXISTS (
           SELECT FROM prosa_business_membership ms WHERE ms.business_id = b.id AND ms.left_at IS NULL AND ms.role IN ('owner', 'admin', 'agent')),
       (SELECT jsonb_build_array(q.id, q.state, q.question, q.created_at, q.answer, q.remind_at IS NULL, (SELECT t.name FROM prosa_business_team t WHERE t.id = q.team_id))
        FROM prosa_conversations_case q WHERE q.conversation_id = c.id AND q.state IN ('open', 'answered')),
       c.language
FROM prosa_conversations_conversation c
JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
JOIN prosa_business_business b ON b.id = c.business_id
LEFT JOIN prosa_business_guideline g ON g.business_id = b.id
LEFT JOIN prosa_costs_budget l ON l.business_id = b.id
LEFT JOIN prosa_conversations_summary sm ON sm.conversation_id = c.id AND sm.purpose = 'history'
CROSS JOIN LATERAL prosa_costs_standing(b.id) AS k(standing)
WHERE c.id = %(conversation_id)s

-- name: lines
-- What waits for an answer, and what was said before it.
(SELECT id, author, kind, text, sent_at, true, provider_id,
        CASE WHEN kind <> 'text' THEN
            (SELECT jsonb_agg(jsonb_build_object('kind', a.kind, 'status', a.status, 'hearing', a.hearing, 'file', a.file,
                    'mime', a.mime_type, 'name', a.filename, 'size', a.size) ORDER BY a.id)
             FROM prosa_conversations_attachment a WHERE a.message_id = m.id) END,
        extract(epoch FROM now() - created_at)::float8, created_at >= %(since)s,
        CASE WHEN kind <> 'text' THEN payload ->> 'id' END
 FROM prosa_conversations_message m
 WHERE conversation_id = %(conversation_id)s AND pending ORDER BY id LIMIT %(most)s)
UNION ALL
(SELECT id, author, kind, text, sent_at, false, NULL, NULL, NULL, NULL, NULL FROM prosa_conversations_message
 WHERE conversation_id = %(conversation_id)s AND id > %(after)s AND NOT pending AND text <> '' AND status NOT IN ('withdrawn', 'failed')
   AND kind NOT IN ('reaction', 'system', 'revoke')
 ORDER BY id DESC LIMIT %(history)s)
