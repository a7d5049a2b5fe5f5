"""What the key of a form can do, in plain sentences that follow what is typed."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.access_levels import PERMISSIONS
from accounts.environments import Environment
from accounts.templatetags.pithead import day
from apikeys.web.key_form import KeyForm, address_notes, networks
from apikeys.web.kind_words import ACTION_WORDS, say
from apikeys.web.picker import ACTIONS, EntityPicker, gives_everything
from apikeys.web.summary import Sentence, abilities

CIDRS_NAMED = 3


def summarize(form: KeyForm) -> list[Sentence]:
    """The form's current values: what the key can do, for what, from where, until when and how often."""
    sentences = abilities(form.usable) if form.usable else []
    return [*sentences, *_reach(form), *_where(form), _until(form), _how_often(form)]


def _reach(form: KeyForm) -> list[Sentence]:
    if form.kept_scope:
        return [Sentence("reach", _("For %(what)s") % {"what": form.kept_scope})]
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for picker in form.pickers:
        for given, words in _parts(picker):
            by_actions.setdefault(tuple(action for action in ACTIONS if action in given), []).append(words)
    if not by_actions:
        return [Sentence("cannot", _("Reaches nothing yet: choose miners, hubs or pools"))]
    sentences = []
    for actions, parts in by_actions.items():
        what = " · ".join(parts)
        if gives_everything(actions):
            sentences.append(Sentence("reach", _("For %(what)s") % {"what": what}))
            continue
        held = {PERMISSIONS[name].action.value for name in form.permissions}
        named = " + ".join(str(ACTION_WORDS[action]) for action in actions)
        sentences.append(Sentence("reach", _("%(actions)s: %(what)s") % {"actions": named, "what": what}))
        if held and (idle := [str(ACTION_WORDS[action]) for action in actions if action not in held]):
            sentences.append(
                Sentence("cannot", _("The access level holds nothing for: %(actions)s") % {"actions": ", ".join(idle)})
            )
    if any(picker.kind != "miner" and (picker.is_all or picker.picks) for picker in form.pickers):
        sentences.append(Sentence("reach", _("The same for the miners behind them, while they belong there")))
    return sentences


def _parts(picker: EntityPicker) -> list[tuple[list[str], str]]:
    parts = []
    if picker.is_all and picker.all_actions:
        parts.append((picker.all_actions, str(picker.words.everything)))
    if picker.picks and picker.actions:
        parts.append((picker.actions, say(picker.words.counted, len(picker.picks))))
    return parts


def _where(form: KeyForm) -> list[Sentence]:
    environment = Environment(form.entity_environment).label
    typed = networks(form.value("allowed_cidrs"))
    if typed:
        shown = ", ".join(typed[:CIDRS_NAMED]) + (" …" if len(typed) > CIDRS_NAMED else "")
        where = _("Works in %(environment)s, only from %(addresses)s") % {
            "environment": environment,
            "addresses": shown,
        }
    else:
        where = _("Works in %(environment)s, from any address") % {"environment": environment}
    notes = [Sentence("warn" if level == "warn" else "cannot", text) for level, text in address_notes(form.networks)]
    return [Sentence("where", where), *notes]


def _until(form: KeyForm) -> Sentence:
    until = form.until
    if until is None:
        return Sentence("until", _("Until it is revoked: no expiry"))
    if isinstance(until, str):
        return Sentence("cannot", _("No last day chosen yet"))
    if until <= form.expiry.now:
        return Sentence("cannot", _("Has expired: choose a new expiry to let it work again"))
    return Sentence("until", format_html(_("Until {day}"), day=day(until)))


def _how_often(form: KeyForm) -> Sentence:
    try:
        limit = form.limit
    except ValueError:
        return Sentence("cannot", _("The rate limit is no whole number yet"))
    try:
        burst = form.burst
    except ValueError:
        return Sentence("cannot", _("The burst is no whole number within the rate limit yet"))
    if limit is None:
        return Sentence("rate", _("As many requests as it likes: no rate limit"))
    if burst is None:
        text = ngettext("Up to %(limit)s request a minute", "Up to %(limit)s requests a minute", limit)
    else:
        text = ngettext(
            "Up to %(limit)s request a minute, %(burst)s at once",
            "Up to %(limit)s requests a minute, %(burst)s at once",
            limit,
        )
    return Sentence("rate", text % {"limit": f"{limit:,}", "burst": f"{burst or limit:,}"})
