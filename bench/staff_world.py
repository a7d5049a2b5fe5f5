"""Fill an empty PostgreSQL database with what staff look at: keys of all sorts, their accounts, use and audit events.

Run by `bench.admin` as a process of its own, since Django's settings are one per process.
"""

from __future__ import annotations

import argparse

import django
from django.core.management import call_command
from django.db import connection, transaction

HOURS_OF_USE = 72

# Ids as `uuid7` makes them: by time, and otherwise spread. 1,700,000,000,000 ms is in November 2023; ids and dates of
# keys and events go on from there for some 1,000 days, up to today.
_FUNCTIONS = """
CREATE FUNCTION pg_temp.id_at(at timestamptz, seed text) RETURNS uuid LANGUAGE sql AS
  $$ SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
     || '7' || substr(md5(seed), 1, 3) || 'a' || substr(md5(seed), 4, 15))::uuid $$;
CREATE FUNCTION pg_temp.moment(share double precision) RETURNS timestamptz LANGUAGE sql AS
  $$ SELECT now() - (1 - share) * interval '1000 days' $$;
"""

_PEOPLE = """
INSERT INTO accounts_account (id, name, slug, suspended_at, keys_editable, key_automation, permanent_delete,
                              leaks_only_disable, rotation_days, rotation_days_elsewhere, pinned_policies, created_at)
SELECT pg_temp.id_at(pg_temp.moment(0), 'account' || n), initcap(word) || ' Mining ' || n, word || '-' || n,
       CASE WHEN n %% 250 = 0 THEN now() END, false, false, false, false, 90, 180, '[]', pg_temp.moment(0)
  FROM generate_series(1, %(accounts)s) n,
       LATERAL (SELECT (ARRAY['north', 'granite', 'copper', 'deep', 'summit', 'ridge'])[n %% 6 + 1] AS word) w;

INSERT INTO accounts_user (password, is_superuser, email, name, is_staff, is_active, theme, language, time_zone,
                           date_joined)
SELECT '!', false, 'person-' || n || '@example.com', 'Person ' || n, false, true, 'auto', '', '', pg_temp.moment(0)
  FROM generate_series(1, %(accounts)s) n;

INSERT INTO accounts_membership (account_id, user_id, access_level, is_owner, can_view_keys, can_create_keys,
                                 can_update_keys, can_delete_keys, muted_notices, created_at)
SELECT a.id, u.id, 'administrator', true, false, false, false, false, '[]', a.created_at
  FROM (SELECT id, created_at, row_number() OVER (ORDER BY slug) AS n FROM accounts_account) a
  JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM accounts_user) u USING (n);

-- Every third account rotated its signing key this year, and a few retired the first one.
INSERT INTO apikeys_signingkey (account_id, version, wrapped, created_at, retired_at)
SELECT id, 1, '\\x00'::bytea, created_at, CASE WHEN right(slug, 2) = '99' THEN now() END FROM accounts_account
UNION ALL
SELECT id, 2, '\\x00'::bytea, now() - interval '100 days', NULL
  FROM accounts_account WHERE right(slug, 1) IN ('3', '6', '9');

INSERT INTO apikeys_role (id, account_id, name, description, permissions, created_at)
SELECT gen_random_uuid(), id, 'Billing export', '', '["payouts:read"]', created_at FROM accounts_account;
"""

_ENTITIES = """
INSERT INTO entities_entity (id, account_id, environment, kind, name, created_at)
SELECT pg_temp.id_at(a.created_at, kind || a.slug || '#' || n), a.id, 'production', kind,
       kind || '-' || lpad(n::text, 6, '0'), a.created_at
  FROM accounts_account a,
       LATERAL (SELECT 'miner' AS kind, n FROM generate_series(1, 1 + %(keys)s / %(accounts)s) n
                UNION ALL SELECT kind, 1 FROM unnest(ARRAY['hub', 'pool']) kind) made;

INSERT INTO entities_hubclient (hub_id, miner_id, commission, comment, joined_at)
SELECT h.id, m.id, 0.02, '', m.created_at
  FROM entities_entity h
  JOIN entities_entity m ON m.account_id = h.account_id AND m.kind = 'miner' AND right(m.name, 1) = '1'
 WHERE h.kind = 'hub';
"""

# Of a hundred keys twenty are revoked, five disabled, three expired, one has no secret and one is a support key.
_KEYS = """
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT pg_temp.id_at(pg_temp.moment(n / %(keys)s::float), 'key' || n) AS id, n, n %% 100 AS sort,
       pg_temp.moment(n / %(keys)s::float) AS created_at, a.id AS account_id, a.role_id, a.signing_key_id
  FROM generate_series(1, %(keys)s::bigint) n
  JOIN (SELECT a.id, r.id AS role_id, s.id AS signing_key_id, row_number() OVER (ORDER BY a.id) - 1 AS turn
          FROM accounts_account a JOIN apikeys_role r ON r.account_id = a.id
          JOIN apikeys_signingkey s ON s.account_id = a.id AND s.version = 1) a
    ON a.turn = n * 7919 %% %(accounts)s;

INSERT INTO apikeys_apikey (id, key_id, account_id, environment, name, description, access_level, role_id, support,
                            allowed_cidrs, rate_limit, expires_at, disabled_at, revoked_at, revoked_by_name,
                            revoke_reason, revoke_note, last_used_at, created_at, created_by_name)
SELECT id, 'key_' || substr(md5('id' || n), 1, 12), account_id,
       (ARRAY['production', 'production', 'production', 'staging', 'development'])[n %% 5 + 1],
       (ARRAY['Grafana fleet', 'Billing export', 'Night watch', 'Autotuner', 'Old dashboard'])[n %% 5 + 1] || ' ' || n,
       '', CASE WHEN n %% 10 = 0 THEN 'custom' ELSE (ARRAY['viewer', 'accountant', 'treasurer'])[n %% 3 + 1] END,
       CASE WHEN n %% 10 = 0 THEN role_id END, sort = 55,
       CASE WHEN n %% 4 = 0 THEN '["203.0.113.0/24"]'::jsonb ELSE '[]' END, NULL,
       CASE WHEN sort BETWEEN 25 AND 27 THEN greatest(created_at, now() - interval '10 days')
            WHEN n %% 2 = 0 THEN now() + n %% 730 * interval '1 day' + interval '1 day' END,
       CASE WHEN sort BETWEEN 20 AND 24 THEN now() END,
       CASE WHEN sort < 20 THEN created_at + (now() - created_at) * (n %% 9 / 10.0) END,
       CASE WHEN sort < 20 THEN 'Inés' ELSE '' END, CASE WHEN sort < 20 THEN 'replaced' ELSE '' END, '',
       CASE WHEN n %% 5 < 3 THEN now() - n %% 200 * interval '1 day' END, created_at,
       'Inés'
  FROM made;

-- Every third key was rotated: this quarter, or some time after it was made.
INSERT INTO apikeys_apikeysecret (key_id, signing_key_id, selector, digest, created_at, retires_at, last_used_at,
                                  last_used_address, argon2, hint)
SELECT id, signing_key_id, substr(md5('selector' || n || place), 1, 12), decode(md5(n::text) || md5('x' || n), 'hex'),
       CASE WHEN place = 1 THEN created_at ELSE rotated_at END,
       CASE WHEN sort = 28 THEN now() WHEN place = 1 AND rotated_at IS NOT NULL THEN rotated_at END,
       CASE WHEN n %% 5 < 3 THEN now() - n %% 200 * interval '1 day' END, '203.0.113.7', '', ''
  FROM (SELECT made.*,
               CASE WHEN n %% 3 = 0 THEN greatest(created_at, now() - n %% 150 * interval '1 day') END AS rotated_at
          FROM made) k,
       generate_series(1, CASE WHEN n %% 3 = 0 THEN 2 ELSE 1 END) place;

-- Every fourth key names two miners by hand.
INSERT INTO apikeys_keyscope (key_id, action, kind, entity_id)
SELECT id, '*', CASE WHEN n %% 2 = 0 THEN '*' ELSE 'miner' END, NULL FROM made WHERE n %% 4 <> 3
UNION ALL
SELECT k.id, '*', 'miner', m.id
  FROM made k JOIN entities_entity m ON m.account_id = k.account_id AND m.name IN ('miner-000001', 'miner-000002')
 WHERE k.n %% 4 = 3;
"""

_USE = """
INSERT INTO apikeys_usagehour (key_id, hour, requests, refused)
SELECT k.id, date_trunc('hour', now()) - h * interval '1 hour', 60, CASE WHEN h %% 7 = 0 THEN 1 ELSE 0 END
  FROM generate_series(0, %(hours)s - 1) h, made k WHERE k.n %% 10 = 5 AND k.sort >= 30;

INSERT INTO apikeys_usagetotal (hour, requests, refused)
SELECT hour, sum(requests), sum(refused) FROM apikeys_usagehour GROUP BY hour;

INSERT INTO accounts_auditevent (id, at, account_id, account_name, actor_name, via, action, target_type, target_id,
                                 target_name, data, chain, number, digest)
SELECT k.id, k.created_at, k.account_id, a.name, 'Inés', 'web',
       CASE WHEN k.n %% 20 = 0 THEN 'key.revoked' ELSE 'key.issued' END, 'apikey',
       'key_' || substr(md5('id' || k.n), 1, 12), 'Grafana fleet ' || k.n, '{}', k.account_id,
       row_number() OVER (PARTITION BY k.account_id ORDER BY k.n), '\\x00'::bytea
  FROM made k JOIN accounts_account a ON a.id = k.account_id;
"""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--keys", type=int, required=True)
    options.add_argument("--accounts", type=int, required=True)
    chosen = options.parse_args()
    django.setup()
    call_command("migrate", verbosity=0)
    fill(chosen.keys, chosen.accounts)


def fill(keys: int, accounts: int) -> None:
    """Store ``keys`` keys of ``accounts`` accounts. Their secrets open nothing: nobody asks with them."""
    sizes = {"keys": keys, "accounts": accounts, "hours": HOURS_OF_USE}
    with transaction.atomic(), connection.cursor() as cursor:
        # The rows are right by making: no check of each foreign key, no wait for the disk.
        cursor.execute("SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off")
        cursor.execute(_FUNCTIONS)
        for statement in (_PEOPLE, _ENTITIES, _KEYS, _USE):
            cursor.execute(statement, sizes)
            cursor.execute("ANALYZE")  # or the next one joins row by row
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as autovacuum leaves it: index-only scans need the visibility map


if __name__ == "__main__":
    main()
