"""What is sent, and what the audit trails say."""

from accounts.models import AuditEvent


def terms(miner_id, commission="0.0150", comment=""):
    return {"miner": str(miner_id), "commission": commission, "comment": comment}


def actions(account):
    """What the account's audit trail says of clients, oldest first."""
    events = AuditEvent.objects.filter(account=account, action__startswith="hub_client").order_by("id")
    return [event.action for event in events]
