"""The pool data API's routes; mounted once per environment, last, for the last route takes all that is left."""

from django.urls import path, re_path

from entities.api import base, charts, hubs, ingest, miners, pools

# Ids are plain strings here: a malformed one must meet the same checks and the same 404 as an unknown one.
urlpatterns = [
    path("miners", miners.MinerList.as_view(), name="api-miners"),
    path("miners/charts", charts.MinerCharts.as_view(), name="api-miner-charts"),
    path("miners/<str:entity_id>", miners.MinerDetail.as_view(), name="api-miner"),
    path("miners/<str:entity_id>/workers", miners.MinerWorkers.as_view(), name="api-miner-workers"),
    path("miners/<str:entity_id>/hashrate", miners.MinerHashrate.as_view(), name="api-miner-hashrate"),
    path("miners/<str:entity_id>/stats", miners.MinerStats.as_view(), name="api-miner-stats"),
    path("miners/<str:entity_id>/balance", miners.MinerBalance.as_view(), name="api-miner-balance"),
    path("miners/<str:entity_id>/accruals", miners.MinerAccruals.as_view(), name="api-miner-accruals"),
    path("miners/<str:entity_id>/payments", miners.MinerPayments.as_view(), name="api-miner-payments"),
    path("hubs", hubs.HubList.as_view(), name="api-hubs"),
    path("hubs/<str:entity_id>", hubs.HubDetail.as_view(), name="api-hub"),
    path("hubs/<str:entity_id>/clients", hubs.HubClients.as_view(), name="api-hub-clients"),
    path("hubs/<str:entity_id>/workers", hubs.HubWorkers.as_view(), name="api-hub-workers"),
    path("hubs/<str:entity_id>/stats", hubs.HubStats.as_view(), name="api-hub-stats"),
    path("hubs/<str:entity_id>/accruals", hubs.HubAccruals.as_view(), name="api-hub-accruals"),
    path("hubs/<str:entity_id>/payments", hubs.HubPayments.as_view(), name="api-hub-payments"),
    path("pools", pools.PoolList.as_view(), name="api-pools"),
    path("pools/<str:entity_id>", pools.PoolDetail.as_view(), name="api-pool"),
    path("pools/<str:entity_id>/stats", pools.PoolStats.as_view(), name="api-pool-stats"),
    path("ingest/pools", ingest.IngestPools.as_view(), name="api-ingest-pools"),
    path("ingest/hubs", ingest.IngestHubs.as_view(), name="api-ingest-hubs"),
    path("ingest/miners", ingest.IngestMiners.as_view(), name="api-ingest-miners"),
    path("ingest/workers", ingest.IngestWorkers.as_view(), name="api-ingest-workers"),
    path("ingest/hashrate", ingest.IngestHashrate.as_view(), name="api-ingest-hashrate"),
    path("ingest/accruals", ingest.IngestAccruals.as_view(), name="api-ingest-accruals"),
    path("ingest/payouts", ingest.IngestPayouts.as_view(), name="api-ingest-payouts"),
    re_path(r"", base.NoSuchRoute.as_view(), name="api-no-such-route"),
]
