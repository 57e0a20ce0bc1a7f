-- Who a contact is elsewhere.

-- name: key
SELECT key FROM prosa_contacts_link
WHERE business_id = %(business_id)s AND contact_id = %(contact_id)s AND kind = %(kind)s AND status = 'live'
