"""The request that somebody wants explained: what the forms of owners and of staff share."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.client_ip import normalize
from apikeys import explain
from apikeys.explain import Asked, Explanation, Presented
from apikeys.models import ApiKey, ApiKeySecret

MOST_OF_A_PATH = 2000


class SecretInput(forms.Textarea):
    """Never prints a pasted secret back."""

    def __init__(self) -> None:
        super().__init__({"rows": 2, "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"})

    def format_value(self, value: Any) -> None:
        return None


class ExplainForm(forms.Form):
    """Subclasses say whose request it is: clean() sets ``presented``."""

    secret = forms.CharField(
        label=gettext_lazy("Secret"),
        max_length=4000,
        required=False,
        widget=SecretInput,
    )
    method = forms.ChoiceField(label=gettext_lazy("Method"), choices=[(name, name) for name in explain.METHODS])
    path = forms.CharField(
        label=gettext_lazy("Path"),
        max_length=MOST_OF_A_PATH,
        widget=forms.TextInput(
            {"class": "mono", "autocomplete": "off", "spellcheck": "false", "placeholder": "/api/v1/miners"}
        ),
        help_text=gettext_lazy("As the program asks for it; a whole address will do."),
        error_messages={"required": gettext_lazy("Type the path that the program asks for.")},
    )
    address = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=60,
        required=False,
        widget=forms.TextInput(
            {"class": "mono", "autocomplete": "off", "spellcheck": "false", "placeholder": "203.0.113.7"}
        ),
        help_text=gettext_lazy("Where the program calls from. Empty: not known."),
    )

    presented: Presented

    def clean_path(self) -> str:
        typed: str = self.cleaned_data["path"]
        if place := re.search(r"\{\w+\}", typed):
            raise forms.ValidationError(_("Put an ID in the place of %(name)s.") % {"name": place.group()})
        try:
            self.path_and_query = explain.read_path(typed)
        except ValueError:
            sentence = _("That is no path. Write it like %(example)s.") % {"example": "/api/v1/miners"}
            raise forms.ValidationError(sentence) from None
        return typed

    def clean_address(self) -> str | None:
        typed: str = self.cleaned_data["address"]
        address = normalize(typed) if typed else None
        if typed and address is None:
            raise forms.ValidationError(
                _("That is no IPv4 or IPv6 address. Write it like %(example)s.") % {"example": "203.0.113.7"}
            )
        return address

    def present_secret_of(self, key: ApiKey) -> Presented | None:
        """The pasted secret, if it is one of ``key``. Of all others no more is said than that they are not."""
        found = explain.find_by_secret(self.cleaned_data["secret"])
        if found is not None and found.grant.key_pk == key.pk:
            return Presented(found.grant, pasted=True)
        self.add_error("secret", _("This is no secret of “%(name)s”. Was it copied whole?") % {"name": key.name})
        return None

    def explain(self) -> Explanation:
        """Explain the request of a valid form, as if it came now."""
        path, query = self.path_and_query
        asked = Asked(self.cleaned_data["method"], path, query, self.cleaned_data["address"])
        return explain.explain(self.presented, asked, timezone.now())


class OwnersExplainForm(ExplainForm):
    """A request of ``key``, with one of its secrets: a chosen one, or one that is pasted to see whether it is."""

    which = forms.ChoiceField(label=gettext_lazy("Which secret"))

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key = key
        self.secrets = {str(secret.pk): secret for secret in key.secrets.all()}
        self.fields["secret"].help_text = _(
            "Only to check whether it is a secret of this key: it is compared, kept nowhere and never shown again."
        )
        if len(self.secrets) < 2:
            del self.fields["which"]
            return
        newest = explain.newest_secret(key)
        self.fields["which"].choices = [(pk, self._words(secret)) for pk, secret in self.secrets.items()]  # type: ignore[attr-defined]
        self.fields["which"].initial = str(newest.pk) if newest else None
        self.order_fields(["method", "path", "address", "which", "secret"])

    def _words(self, secret: ApiKeySecret) -> str:
        mask = self.key.mask_of(secret)
        return mask if secret in self.key.live_secrets else _("%(mask)s, stopped") % {"mask": mask}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        if data["secret"]:
            presented = self.present_secret_of(self.key)
            if presented is not None:
                self.presented = presented
            return data
        secret = self.secrets.get(data.get("which", "")) or explain.newest_secret(self.key)
        if secret is None:
            raise forms.ValidationError(_("This key has no secret, so no request can come with it."))
        self.presented = explain.present_secret(secret)
        return data
