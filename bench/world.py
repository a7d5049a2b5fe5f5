"""Fill an empty PostgreSQL database with a pool of a given size, and print (JSON) the keys to ask with.

Run by `bench.scale` as a process of its own, since Django's settings are one per process.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import django
from django.core.management import call_command
from django.db import connection, transaction

SLUG, OTHER_SLUG = "scale", "scale-other"
HUBS = POOLS = 5
WORKERS_OF_BIGGEST = 600  # of the first miner: more than a page

# Ids as `uuid7` makes them: by time, and otherwise spread. ``at`` is in milliseconds.
_FUNCTIONS = """
CREATE FUNCTION pg_temp.made_at(at bigint) RETURNS timestamptz LANGUAGE sql AS
  $$ SELECT to_timestamp(at / 1000.0) $$;
CREATE FUNCTION pg_temp.id_at(at bigint, seed text) RETURNS uuid LANGUAGE sql AS
  $$ SELECT (lpad(to_hex(at), 12, '0') || '7' || substr(md5(seed), 1, 3) || 'a' || substr(md5(seed), 4, 15))::uuid $$;
"""

# 1,700,000,000,000 ms is in November 2023; everybody's miners were made over the 1,000 days from then, side by side.
_ENTITIES = """
INSERT INTO entities_entity (id, account_id, environment, kind, name, created_at)
SELECT pg_temp.id_at(1690000000000 + n, k || n), %(account)s, 'production', k, k || '-' || n,
       pg_temp.made_at(1690000000000 + n)
  FROM generate_series(1, %(hubs)s) n, unnest(ARRAY['hub', 'pool']) k;

-- Every fifth miner mines on no pool of ours.
INSERT INTO entities_entity (id, account_id, environment, kind, name, pool_id, created_at)
SELECT pg_temp.id_at(at, owner::text || n), owner, 'production', 'miner', 'miner-' || lpad(n::text, 7, '0'), p.id,
       pg_temp.made_at(at)
  FROM (SELECT %(account)s::uuid AS owner, n, 1700000000000 + n * 86400000000 / %(miners)s AS at
          FROM generate_series(1, %(miners)s::bigint) n
        UNION ALL
        SELECT %(other)s::uuid, n, 1700000000000 + n * 86400000000 / %(others)s
          FROM generate_series(1, %(others)s::bigint) n) made
  LEFT JOIN entities_entity p ON p.kind = 'pool' AND n %% 5 <> 0 AND p.name = 'pool-' || (n / 5 %% %(hubs)s + 1);

INSERT INTO entities_entity (id, account_id, environment, kind, name, created_at)
SELECT pg_temp.id_at(1690000000000 + n, 'other' || n), %(other)s, 'production', 'hub', 'hub-' || n, now()
  FROM generate_series(1, %(hubs)s) n;

-- Two of our hubs mine on a pool of ours.
UPDATE entities_entity h SET pool_id = p.id
  FROM entities_entity p
 WHERE h.kind = 'hub' AND h.account_id = %(account)s AND h.name IN ('hub-1', 'hub-2')
   AND p.kind = 'pool' AND p.name = 'pool-' || right(h.name, 1);
"""

# Each hub serves about ``clients`` miners, a quarter of them the account's own. Other people's hubs serve miners, too.
_CLIENTS = """
WITH miners AS (
  SELECT m.*, n / step AS turn
    FROM (SELECT id, created_at, account_id = %(account)s AS own,
                 row_number() OVER (PARTITION BY account_id ORDER BY id) AS n,
                 greatest(1, CASE WHEN account_id = %(account)s THEN 4 * %(miners)s / (%(hubs)s * %(clients)s)
                                  ELSE 4 * %(others)s / (3 * %(hubs)s * %(clients)s) END) AS step
            FROM entities_entity WHERE kind = 'miner') m
   WHERE n %% step = 0
), hubs AS (
  SELECT id, account_id = %(account)s AS own, row_number() OVER (PARTITION BY account_id ORDER BY id) AS n
    FROM entities_entity WHERE kind = 'hub'
)
INSERT INTO entities_hubclient (hub_id, miner_id, commission, comment, joined_at)
SELECT h.id, m.id, 0.02, '', m.created_at
  FROM hubs h JOIN miners m ON m.turn %% %(hubs)s + 1 = h.n AND (h.own OR NOT m.own)
"""

_WORKERS = """
INSERT INTO entities_worker (id, miner_id, name, hashrate, hashrate_1d, hashrate_1w, last_share_at, created_at)
SELECT pg_temp.id_at((extract(epoch FROM m.created_at) * 1000)::bigint + w, m.id::text || w), m.id,
       'rig-' || lpad(w::text, 4, '0'), 200000000000000, 200000000000000, 200000000000000,
       CASE WHEN w %% 10 = 0 THEN NULL WHEN w %% 10 = 1 THEN now() - interval '1 hour' ELSE now() END, m.created_at
  FROM entities_entity m,
       generate_series(1, CASE WHEN m.account_id <> %(account)s THEN 2
                               WHEN m.name = 'miner-0000001' THEN %(biggest)s ELSE %(workers)s / %(miners)s END) w
 WHERE m.kind = 'miner'
"""

_SERIES = """
-- A week of hours of the first hub's clients and of every fiftieth miner.
INSERT INTO entities_hashratesample (miner_id, at, hashrate, rejected)
SELECT m.id, date_trunc('hour', now()) - h * interval '1 hour', 2000000000000000, 0
  FROM entities_entity m, generate_series(0, 167) h
 WHERE m.kind = 'miner' AND (right(m.name, 2) IN ('01', '51') OR m.id IN (
   SELECT c.miner_id FROM entities_hubclient c JOIN entities_entity u ON u.id = c.hub_id
    WHERE u.account_id = %(account)s AND u.name = 'hub-1'));

-- Ninety days of money of every fiftieth miner, five days of hubs by client.
INSERT INTO entities_accrual (id, entity_id, client_id, day, coin, amount)
SELECT gen_random_uuid(), m.id, NULL, current_date - d, 'BTC', 0.00012345
  FROM entities_entity m, generate_series(1, 90) d WHERE m.kind = 'miner' AND right(m.name, 2) IN ('01', '51')
UNION ALL
SELECT gen_random_uuid(), c.hub_id, c.miner_id, current_date - d, 'BTC', 0.00000123
  FROM entities_hubclient c, generate_series(1, 5) d;

INSERT INTO entities_wallet (id, entity_id, coin, address)
SELECT gen_random_uuid(), id, 'BTC', 'bc1qexample' FROM entities_entity WHERE kind <> 'pool';

INSERT INTO entities_payout (id, entity_id, wallet_id, paid_at, coin, amount, address, transaction)
SELECT gen_random_uuid(), w.entity_id, w.id, now() - d * interval '1 day', w.coin, 0.001, w.address, 'tx-' || d
  FROM entities_wallet w JOIN entities_entity m ON m.id = w.entity_id, generate_series(1, 90) d
 WHERE m.kind = 'hub' OR right(m.name, 2) IN ('01', '51');
"""


def main() -> None:
    options = argparse.ArgumentParser()
    for name in ("miners", "others", "workers", "picked", "clients"):
        options.add_argument(f"--{name}", type=int, required=True)
    sizes = vars(options.parse_args())
    django.setup()
    call_command("migrate", verbosity=0)
    json.dump(fill(**sizes), sys.stdout)


def fill(*, miners: int, others: int, workers: int, picked: int, clients: int) -> dict[str, str]:
    """Store a world and return the secrets of its keys by name. ``clients`` are each hub's."""
    from accounts.audit import Actor
    from accounts.models import Account
    from apikeys import signing

    account = Account.objects.create(name="Scale", slug=SLUG)
    other = Account.objects.create(name="Other", slug=OTHER_SLUG)
    signing.bootstrap(account, actor=Actor.for_command("bench"))
    sizes = {
        "account": account.pk,
        "other": other.pk,
        "miners": miners,
        "others": others,
        "workers": workers,
        "clients": clients,
        "hubs": HUBS,
        "biggest": WORKERS_OF_BIGGEST,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        # The rows are right by making: no check of each foreign key, no wait for the disk.
        cursor.execute("SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off")
        cursor.execute(_FUNCTIONS)
        for statement in (_ENTITIES, _CLIENTS, _WORKERS, _SERIES):
            cursor.execute(statement, sizes)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as autovacuum leaves it: index-only scans need the visibility map
    secrets = issue_keys(account, picked)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return secrets


def issue_keys(account: Any, picked: int) -> dict[str, str]:
    """Issue a key for each way to reach miners. ``picked`` miners are spread over all of the account's."""
    from accounts.audit import Actor
    from apikeys import lifecycle
    from apikeys.scopes import Scope
    from entities.models import Miner

    ids = list(Miner.objects.of_account(account.pk, "production").order_by("id").values_list("pk", flat=True))
    chosen = {*ids[:: max(1, len(ids) // picked)][: picked - 1], ids[0]}
    scopes = {
        "all": [Scope("*", "*")],
        "picked": [Scope("*", "miner", pk) for pk in chosen],
        "hubs": [Scope("*", "hub")],
        "pools": [Scope("*", "pool")],
    }
    return {
        name: lifecycle.issue(
            account,
            actor=Actor.for_command("bench"),
            name=name,
            environment="production",
            access_level="administrator",
            scopes=rows,
        )[1]
        for name, rows in scopes.items()
    }


if __name__ == "__main__":
    main()
