"""The account's policies: every member reads them, owners change what staff have not pinned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import policies
from accounts.access import membership_for, owner_membership_for
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.forms import StepUpForm
from accounts.models import Account, User
from accounts.policies import GROUPS, POLICIES, Policy
from accounts.views.notices import settings_context
from apikeys.models import ApiKey


class PoliciesForm(StepUpForm):
    """A field for each policy. One that is staff's, or in the hands of no owner, is disabled and keeps its value."""

    step_up_action = policies.SET

    def __init__(self, *args: Any, account: Account, is_owner: bool, **kwargs: Any) -> None:
        kwargs["initial"] = {field: getattr(account, field) for field in POLICIES}
        super().__init__(*args, **kwargs)
        self.account = account
        for policy in POLICIES.values():
            field = _form_field(_within_plan(policy, account))
            if policy.field == "default_rate_limit" and account.max_rate_limit is not None:
                field.widget.attrs["placeholder"] = f"{account.max_rate_limit:,}"
            field.disabled = not is_owner or policies.is_staffs(account, policy.field)
            # What the page showed travels along: saving one policy must not undo another that changed meanwhile.
            field.show_hidden_initial = not field.disabled
            self.fields[policy.field] = field
        self.order_fields([*POLICIES, "nonce", "code"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for field in self.values():
            try:
                policies.check_policies(self.account, {field: data[field]}, by_owner=True)
            except Refused as refused:
                self.refuse(refused)
        return data

    def refuse(self, refused: Refused) -> None:
        self.add_error(refused.field, str(refused))

    def values(self) -> dict[str, bool | int | None]:
        """The arguments of policies.set_policies() that this form decides: what was changed on the page."""
        changed = POLICIES.keys() & self.changed_data & self.cleaned_data.keys()
        return {field: self.cleaned_data[field] for field in POLICIES if field in changed}


def _within_plan(policy: Policy, account: Account) -> Policy:
    """The policy as it is under the account's plan: where that has a maximum, an empty rate limit is the maximum."""
    most = account.max_rate_limit
    if policy.field != "default_rate_limit" or most is None:
        return policy
    return replace(policy, most=most, empty=_("%(most)s, as the plan allows") % {"most": f"{most:,}"})


def _form_field(policy: Policy) -> forms.Field:
    if policy.is_switch:
        return forms.BooleanField(label=policy.label, help_text=policy.help, required=False)
    return forms.IntegerField(
        label=policy.label,
        help_text=policy.help,
        required=False,
        # As text: a field of type "number" drops what it can't read, and nobody sees what was wrong.
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "off", "maxlength": 12, "placeholder": policy.empty}
        ),
        error_messages={"invalid": policy.bounds},
    )


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    membership = owner_membership_for(user, slug) if request.method == "POST" else membership_for(user, slug)
    account = membership.account
    form = PoliciesForm(
        request.POST if request.method == "POST" else None, user=user, account=account, is_owner=membership.is_owner
    )
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                actor = Actor.from_request(request, proof=form.proof)
                changed = policies.set_policies(account, actor=actor, **form.values())
                _say(request, account, changed)
        except Refused as refused:  # staff pinned it meanwhile
            form.refuse(refused)
            form.renew()
        else:
            return redirect("web:policies", slug)
    context = settings_context(membership, "policies") | {
        "form": form,
        "groups": [
            {
                "id": name,
                "title": title,
                "lead": lead,
                "rows": [_row(account, form, POLICIES[field]) for field in fields],
            }
            for name, title, lead, fields in GROUPS
        ],
    }
    return render(request, "apikeys/policies.html", context)


def _row(account: Account, form: PoliciesForm, policy: Policy) -> dict[str, Any]:
    field = form[policy.field]
    return {
        "policy": policy,
        "field": field,
        "shown": field.as_hidden(only_initial=True) if field.field.show_hidden_initial else "",
        "pinned": policy.field in account.pinned_policies,
        "use": _USES[policy.field](account) if policy.field in _USES else "",
    }


def _use(account: Account) -> str:
    active, limit = _active(account), account.max_active_keys
    if limit is None:
        return ngettext("%(active)s key is active now.", "%(active)s keys are active now.", active) % {"active": active}
    return ngettext(
        "%(active)s of %(limit)s key is active now.", "%(active)s of %(limit)s keys are active now.", limit
    ) % {"active": active, "limit": f"{limit:,}"}


def _rate_in_force(account: Account) -> str:
    """What a key without a limit of its own may do where the plan, not the policy, decides; else ""."""
    most = account.max_rate_limit
    if most is None or account.rate_limit_of(None) == account.default_rate_limit:
        return ""
    return _("%(most)s a minute holds now, the most in the account’s plan.") % {"most": f"{most:,}"}


#: What a policy comes to now, said beside what it means.
_USES: dict[str, Callable[[Account], str]] = {"max_active_keys": _use, "default_rate_limit": _rate_in_force}


def _say(request: HttpRequest, account: Account, changed: policies.Changes) -> None:
    if not changed:
        messages.info(request, _("Nothing was different, so nothing was changed."))
        return
    messages.success(request, _("The policies are saved."))
    limit = changed.get("max_active_keys", (None, None))[1]
    if isinstance(limit, int) and (active := _active(account)) > limit:
        messages.warning(
            request,
            ngettext(
                "%(active)s key is active now; nothing stops, but no key can be created or switched on until fewer "
                "than %(limit)s are active.",
                "%(active)s keys are active now; nothing stops, but no key can be created or switched on until fewer "
                "than %(limit)s are active.",
                active,
            )
            % {"active": active, "limit": f"{limit:,}"},
        )


def _active(account: Account) -> int:
    return ApiKey.objects.filter(account=account).active().count()
