"""Create a key, and show its secret once."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.access import membership_for
from accounts.access_levels import PERMISSIONS, AccessLevel
from accounts.audit import Actor
from accounts.client_ip import client_ip
from accounts.models import Account, KeyPermission, Membership, User
from apikeys import lifecycle, scopes, signing
from apikeys.models import ApiKey
from apikeys.web.forms import CreateKeyForm, expiry, networks
from apikeys.web.previewed import PREVIEW
from apikeys.web.reveal import reveal
from apikeys.web.summary import Sentence, abilities

ADD_ADDRESS = "add_my_address"


@never_cache
@sensitive_post_parameters("code")
@sensitive_variables("secret")
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, slug: str) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, KeyPermission.CREATE)
    account = membership.account
    if signing.current_signing_key(account) is None:
        return redirect("web:key-list", slug)
    form = _form(request, membership)
    if request.method == "POST" and not form.preview and form.is_valid():
        idempotency_key = f"form:{form.cleaned_data['nonce']}"
        if form.already_confirmed:
            return _already_created(request, account, idempotency_key)
        try:
            key, secret = lifecycle.issue(
                account,
                actor=Actor.from_request(request, proof=form.proof),
                idempotency_key=idempotency_key,
                **form.new_key(form.cleaned_data),
            )
        except lifecycle.AlreadyIssued:
            return _already_created(request, account, idempotency_key)
        except (lifecycle.Refused, scopes.InvalidScope) as refused:
            # Something changed between the form's check and the writing, such as the last free key.
            form.refuse(refused)
            form.renew()
        else:
            return reveal(request, key, secret)
    return render(request, "apikeys/key_create.html", _context(request, membership, form))


def _form(request: HttpRequest, membership: Membership) -> CreateKeyForm:
    actor = Actor.from_request(request)
    if request.method != "POST":
        return CreateKeyForm(membership=membership, actor=actor)
    data = request.POST.copy()
    preview = PREVIEW in data or ADD_ADDRESS in data
    if ADD_ADDRESS in data and (address := client_ip(request)):
        lines = [*networks(data.get("allowed_cidrs", "")), address]
        data["allowed_cidrs"] = "\n".join(dict.fromkeys(lines))
    return CreateKeyForm(data, membership=membership, actor=actor, preview=preview)


def _already_created(request: HttpRequest, account: Account, idempotency_key: str) -> HttpResponse:
    key = ApiKey.objects.for_display().filter(account=account, idempotency_key=idempotency_key).first()
    context = {"nav": "api_keys", "account": account, "key": key}
    return render(request, "apikeys/key_already_created.html", context, status=409)


def _context(request: HttpRequest, membership: Membership, form: CreateKeyForm) -> dict[str, object]:
    return {
        "nav": "api_keys",
        "account": membership.account,
        "form": form,
        "address": client_ip(request),
        "pickers": [picker for picker in form.pickers if picker.total],
        "matrix": [(row, [level in row.levels for level in AccessLevel]) for row in PERMISSIONS.values() if row.levels],
        "levels": [level.label for level in AccessLevel],
        "summary": _summary(form),
    }


def _summary(form: CreateKeyForm) -> list[Sentence]:
    """The form's current values in plain sentences."""
    sentences = abilities(form.permissions) if form.permissions else []
    reach = []
    for picker in form.pickers:
        if picker.is_all:
            reach.append(f"all {picker.plural}, current and future")
        elif picker.picked:
            count = len(picker.picked)
            reach.append(f"{count} {picker.noun if count == 1 else picker.plural}")
    if reach:
        sentences.append(Sentence("reach", f"For {' · '.join(reach)}"))
        if any(picker.kind != "miner" and (picker.is_all or picker.picked) for picker in form.pickers):
            sentences.append(Sentence("reach", "The same for the miners behind them, while they belong there"))
    else:
        sentences.append(Sentence("cannot", "Reaches nothing yet: choose miners, hubs or pools"))
    cidrs = networks(form.value("allowed_cidrs"))
    where = f", only from {', '.join(cidrs[:3])}{' …' if len(cidrs) > 3 else ''}" if cidrs else ", from any address"
    sentences.append(Sentence("where", f"Works in {form.value('environment').capitalize()}{where}"))
    if {"0.0.0.0/0", "::/0"} & set(cidrs):
        sentences.append(Sentence("where", "0.0.0.0/0 or ::/0 allows every address of its version"))
    presets = dict(form.fields["expires_in"].choices)  # type: ignore[attr-defined]
    chosen = form.value("expires_in")
    until = expiry(chosen) if chosen in presets else None
    sentences.append(Sentence("until", f"Until {until:%-d %b %Y}" if until else "Until it is revoked: no expiry"))
    return sentences
