CREATE TABLE message (id bigserial PRIMARY KEY, provider_id text NOT NULL UNIQUE, sender text NOT NULL, body text NOT NULL, payload jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE contact (id serial PRIMARY KEY, phone varchar NOT NULL UNIQUE, name varchar NOT NULL);
CREATE TABLE conversation (id serial PRIMARY KEY, contact_id integer NOT NULL REFERENCES contact, status varchar NOT NULL DEFAULT 'open', unread integer NOT NULL DEFAULT 0, last_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON conversation (contact_id);
CREATE TABLE chat_message (id serial PRIMARY KEY, conversation_id integer NOT NULL REFERENCES conversation, provider_id varchar NOT NULL UNIQUE, body varchar NOT NULL);
CREATE TABLE job (id bigserial PRIMARY KEY, conversation_id bigint NOT NULL, status text NOT NULL DEFAULT 'waiting', run_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX job_ready ON job (run_at) WHERE status = 'waiting';
