"""An explanation in words, for people: what each question was about and how it came out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.html import strip_tags
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.environments import Environment
from accounts.templatetags.pithead import moment
from accounts.wording import join_and
from apikeys.explain import Explanation, Outcome
from apikeys.permissions import ANY_KEY


@dataclass(frozen=True)
class Line:
    """One question. ``words`` say how it came out; "" where it was not reached."""

    name: str
    label: str
    outcome: Outcome
    words: str = ""


def describe(explanation: Explanation) -> list[Line]:
    """A line for each question, in the order in which a request meets them."""
    lines = []
    for step in explanation.steps:
        match step.outcome:
            case Outcome.PASSED:
                words = _passed(step.name, explanation)
            case Outcome.DENIED:
                words = _denied(step.name, explanation)
            case _:
                words = ""
        lines.append(Line(step.name, _label(step.name), step.outcome, words))
    return lines


def _label(name: str) -> str:
    return {
        "well_formed": _("Form of the key"),
        "selector_known": _("Known key"),
        "secret_matches": _("Right secret"),
        "registered": _("Registered key"),
        "account_active": _("Account"),
        "key_not_revoked": _("Revocation"),
        "secret_not_retired": _("Secret"),
        "key_not_expired": _("Expiry"),
        "key_enabled": _("Switch"),
        "environment_fits": _("Environment"),
        "address_allowed": _("Address"),
        "rate_within_limit": _("Rate limit"),
        "route_exists": _("Route"),
        "method_allowed": _("Method"),
        "permission_granted": _("Permission"),
        "entity_in_reach": _("Reach"),
        "view_agrees": _("Conditions of the route"),
    }[name]


def _passed(name: str, explanation: Explanation) -> str:
    grant, target, allowance = explanation.grant, explanation.target, explanation.allowance
    match name:
        case "well_formed":
            return _("Shape and checksum are right.")
        case "selector_known":
            return _("Its selector is known.")
        case "secret_matches":
            return _("It is the secret that the selector stands for.")
        case "registered":
            return _("Support handed it out, and it is registered.")
    if grant is None or target is None:
        return ""
    match name:
        case "account_active":
            return _("%(account)s is not suspended.") % {"account": grant.account_name}
        case "key_not_revoked":
            return _("The key is not revoked.")
        case "secret_not_retired" if grant.secret_retires_at is not None:
            return _("The secret works until %(at)s.") % {"at": _when(grant.secret_retires_at)}
        case "secret_not_retired":
            return _("The secret works.")
        case "key_not_expired" if grant.expires_at is not None:
            return _("The key expires %(at)s.") % {"at": _when(grant.expires_at)}
        case "key_not_expired":
            return _("The key has no expiry.")
        case "key_enabled":
            return _("The key is switched on.")
        case "environment_fits":
            return _("Key and endpoint are both of the environment %(environment)s.") % {
                "environment": _environment(grant.environment)
            }
        case "address_allowed" if not grant.allowed_networks:
            return _("The key may be used from any address.")
        case "address_allowed":
            return _("%(address)s is among the allowed addresses.") % {"address": explanation.asked.address}
        case "rate_within_limit" if allowance is not None and allowance.burst < allowance.limit:
            return ngettext(
                "%(left)s of %(burst)s request at once is left now. %(limit)s a minute come back.",
                "%(left)s of %(burst)s requests at once are left now. %(limit)s a minute come back.",
                allowance.burst,
            ) % {"left": allowance.remaining, "burst": allowance.burst, "limit": allowance.limit}
        case "rate_within_limit" if allowance is not None:
            return ngettext(
                "%(left)s of %(limit)s request a minute is left now.",
                "%(left)s of %(limit)s requests a minute are left now.",
                allowance.limit,
            ) % {"left": allowance.remaining, "limit": allowance.limit}
        case "rate_within_limit":
            return _("The key has no rate limit.")
        case "route_exists":
            return _("The path leads to %(route)s.") % {"route": target.route}
        case "method_allowed":
            return _("The route takes %(method)s.") % {"method": explanation.asked.method}
        case "permission_granted" if target.permission == ANY_KEY:
            return _("Any key in good standing may use this route.")
        case "permission_granted":
            return _("The key has %(permission)s, which the route needs.") % {"permission": target.permission}
        case "entity_in_reach" if target.names_something:
            return _("What the path names is in the reach of the key.")
        case "entity_in_reach":
            return _("The path names no single miner, hub or pool.")
    return ""


def _denied(name: str, explanation: Explanation) -> str:
    grant, target, asked = explanation.grant, explanation.target, explanation.asked
    match name:
        case "well_formed":
            return _("It is no key: shape or checksum is wrong. Most likely it was not copied whole, or mistyped.")
        case "selector_known":
            return _("No key has this selector: it was deleted, or is of another installation.")
        case "secret_matches":
            return _("The selector is known, and the rest is not its secret: somebody made this up.")
    if grant is None or target is None:
        return ""
    match name:
        case "account_active":
            return _("%(account)s is suspended.") % {"account": grant.account_name}
        case "key_not_revoked":
            return _("The key is revoked.")
        case "secret_not_retired" if grant.signing_key_retired_at is not None:
            return _("The secret stopped with its signing key, %(at)s.") % {"at": _when(grant.signing_key_retired_at)}
        case "secret_not_retired":
            return _("The secret was replaced, and stopped %(at)s.") % {"at": _when(grant.secret_retires_at)}
        case "key_not_expired":
            return _("The key expired %(at)s.") % {"at": _when(grant.expires_at)}
        case "key_enabled":
            return _("The key is switched off since %(at)s.") % {"at": _when(grant.disabled_at)}
        case "environment_fits":
            return _("The key is of the environment %(of_key)s, and this is the endpoint of %(endpoint)s.") % {
                "of_key": _environment(grant.environment),
                "endpoint": _environment(target.environment),
            }
        case "address_allowed":
            networks = join_and(grant.allowed_networks)
            if asked.address is None:
                return _("Where the request comes from is not known, and the key is held to %(networks)s.") % {
                    "networks": networks
                }
            return _("%(address)s is not among the allowed addresses: %(networks)s.") % {
                "address": asked.address,
                "networks": networks,
            }
        case "rate_within_limit" if explanation.allowance is not None:
            seconds = explanation.allowance.seconds
            return ngettext(
                "The key has used up its requests. The next one is allowed in %(seconds)s second.",
                "The key has used up its requests. The next one is allowed in %(seconds)s seconds.",
                seconds,
            ) % {"seconds": seconds}
        case "route_exists":
            return _("The API has no route at this path.")
        case "method_allowed":
            return _("The route does not take %(method)s. It takes %(methods)s.") % {
                "method": asked.method,
                "methods": join_and(target.view.allowed_methods),
            }
        case "permission_granted" if target.permission is None:
            return _("The route names no permission, so no key may use it.")
        case "permission_granted":
            return _("The route needs %(permission)s, which the key does not have.") % {"permission": target.permission}
        case "entity_in_reach":
            return _("What the path names is not in the reach of the key, or does not exist: no key is told which.")
        case "view_agrees":
            return _("The key may see it, but not do this with it. The answer says why.")
    return ""


def _when(at: datetime | None) -> str:
    """A moment in the reader's zone, in plain words."""
    return strip_tags(moment(at))


def _environment(environment: str) -> str:
    return str(Environment(environment).label)
