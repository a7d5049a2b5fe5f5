"""What the buttons of a key's form sent: those that only follow what is typed, and "Add my address" among them."""

from __future__ import annotations

from django.http import HttpRequest, QueryDict

from accounts.client_ip import client_ip
from apikeys.web.key_form import networks
from apikeys.web.previewed import PREVIEW

ADD_ADDRESS = "add_my_address"


def is_preview(request: HttpRequest) -> bool:
    return PREVIEW in request.POST or ADD_ADDRESS in request.POST


def posted(request: HttpRequest) -> QueryDict | None:
    """The form's data with the client's address added where that was asked for; None for a page just opened."""
    if request.method != "POST":
        return None
    data = request.POST.copy()
    if ADD_ADDRESS in data and (address := client_ip(request)):
        lines = [*networks(data.get("allowed_cidrs", "")), address]
        data["allowed_cidrs"] = "\n".join(dict.fromkeys(lines))
    return data
