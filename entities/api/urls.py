"""The pool data API's routes; mounted once per environment, last, for the last route takes all that is left."""

from django.urls import path, re_path

from entities.api import base, charts, hubs, invitations, miners, pools, wallets, workers

# Ids are plain strings here: a malformed one must meet the same checks and the same 404 as an unknown one.
urlpatterns = [
    path("miners", miners.MinerList.as_view(), name="api-miners"),
    path("miners/charts", charts.MinerCharts.as_view(), name="api-miner-charts"),
    path("miners/<str:entity_id>", miners.MinerDetail.as_view(), name="api-miner"),
    path("miners/<str:entity_id>/workers", miners.MinerWorkers.as_view(), name="api-miner-workers"),
    path("miners/<str:entity_id>/groups", workers.MinerGroups.as_view(), name="api-miner-groups"),
    path("miners/<str:entity_id>/wallets", miners.MinerWallets.as_view(), name="api-miner-wallets"),
    path("miners/<str:entity_id>/hashrate", miners.MinerHashrate.as_view(), name="api-miner-hashrate"),
    path("miners/<str:entity_id>/stats", miners.MinerStats.as_view(), name="api-miner-stats"),
    path("miners/<str:entity_id>/balance", miners.MinerBalance.as_view(), name="api-miner-balance"),
    path("miners/<str:entity_id>/earned-all-time", miners.MinerEarned.as_view(), name="api-miner-earned"),
    path("miners/<str:entity_id>/accruals", miners.MinerAccruals.as_view(), name="api-miner-accruals"),
    path("miners/<str:entity_id>/payments", miners.MinerPayments.as_view(), name="api-miner-payments"),
    path("miners/<str:entity_id>/hubs", invitations.MinerHubs.as_view(), name="api-miner-hubs"),
    path("miners/<str:entity_id>/hubs/<str:hub_id>", invitations.MinerHubDetail.as_view(), name="api-miner-hub"),
    path("miners/<str:entity_id>/invitations", invitations.MinerInvitations.as_view(), name="api-miner-invitations"),
    path(
        "miners/<str:entity_id>/invitations/<str:invitation_id>",
        invitations.MinerInvitationDetail.as_view(),
        name="api-miner-invitation",
    ),
    path(
        "miners/<str:entity_id>/invitations/<str:invitation_id>/accept",
        invitations.MinerInvitationAcceptance.as_view(),
        name="api-miner-invitation-accept",
    ),
    path("workers/stats", workers.WorkersStats.as_view(), name="api-workers-stats"),
    path("workers/random-name", workers.RandomName.as_view(), name="api-random-name"),
    path("workers/groups/<str:group_id>", workers.GroupDetail.as_view(), name="api-worker-group"),
    path("workers/<str:worker_id>", workers.WorkerDetail.as_view(), name="api-worker"),
    path("wallets/<str:wallet_id>", wallets.WalletDetail.as_view(), name="api-wallet"),
    path("wallets/<str:wallet_id>/addresses", wallets.WalletAddresses.as_view(), name="api-wallet-addresses"),
    path("hubs", hubs.HubList.as_view(), name="api-hubs"),
    path("hubs/<str:entity_id>", hubs.HubDetail.as_view(), name="api-hub"),
    path("hubs/<str:entity_id>/clients", hubs.HubClients.as_view(), name="api-hub-clients"),
    path("hubs/<str:entity_id>/clients/<str:miner_id>", hubs.HubClientDetail.as_view(), name="api-hub-client"),
    path("hubs/<str:entity_id>/invitations", invitations.HubInvitations.as_view(), name="api-hub-invitations"),
    path(
        "hubs/<str:entity_id>/invitations/<str:invitation_id>",
        invitations.HubInvitationDetail.as_view(),
        name="api-hub-invitation",
    ),
    path("hubs/<str:entity_id>/workers", hubs.HubWorkers.as_view(), name="api-hub-workers"),
    path("hubs/<str:entity_id>/stats", hubs.HubStats.as_view(), name="api-hub-stats"),
    path("hubs/<str:entity_id>/accruals", hubs.HubAccruals.as_view(), name="api-hub-accruals"),
    path("hubs/<str:entity_id>/payments", hubs.HubPayments.as_view(), name="api-hub-payments"),
    path("hubs/<str:entity_id>/finance", hubs.HubFinance.as_view(), name="api-hub-finance"),
    path("pools", pools.PoolList.as_view(), name="api-pools"),
    path("pools/<str:entity_id>", pools.PoolDetail.as_view(), name="api-pool"),
    path("pools/<str:entity_id>/stats", pools.PoolStats.as_view(), name="api-pool-stats"),
    path("pools/<str:entity_id>/charts", pools.PoolCharts.as_view(), name="api-pool-charts"),
    path("pools/<str:entity_id>/hubs", pools.PoolHubs.as_view(), name="api-pool-hubs"),
    path("pools/<str:entity_id>/miners", pools.PoolMiners.as_view(), name="api-pool-miners"),
    re_path(r"", base.NoSuchRoute.as_view(), name="api-no-such-route"),
]
