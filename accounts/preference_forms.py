"""The form of what people choose for themselves."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts import time_zones
from accounts.forms import NameField
from accounts.locale import is_spoken
from accounts.models import User


class PreferencesForm(forms.Form):
    name = NameField(
        label=pgettext_lazy("of a person", "Name"),
        max_length=150,
        help_text=_("Colleagues see it beside what you do, in lists and histories."),
        error_messages={"required": _("Type your name.")},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    language = forms.ChoiceField(label=_("Language"), required=False, help_text=_("Of the pages, and of mail to you."))
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, help_text=_("Of the times on the pages."))
    theme = forms.ChoiceField(label=_("Theme"), choices=User.Theme, widget=forms.RadioSelect)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        kwargs["initial"] = {
            "name": user.name,
            "language": user.language if is_spoken(user.language) else "",
            "time_zone": user.time_zone if time_zones.is_known(user.time_zone) else "",
            "theme": user.theme,
        }
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [("", gettext("What the browser asks for")), *settings.LANGUAGES]  # type: ignore[attr-defined]
        zones: list[Any] = [("", "UTC"), *time_zones.choices()]
        # One that staff gave, such as CET.
        current = kwargs["initial"]["time_zone"]
        if current and not any(current == name for _area, places in zones[1:] for name, _label in places):
            zones.insert(1, (current, current))
        self.fields["time_zone"].choices = zones  # type: ignore[attr-defined]
