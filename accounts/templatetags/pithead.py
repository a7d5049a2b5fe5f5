"""Template tags of the pages: icons, access-level bars, initials, times, form widgets."""

from __future__ import annotations

import datetime
from typing import Any

from django import forms, template
from django.forms.boundfield import BoundField, BoundWidget
from django.templatetags.static import static
from django.utils import dateformat, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.access_levels import CUSTOM, AccessLevel
from accounts.environments import Environment

register = template.Library()

_BARS = mark_safe(
    '<rect x="0" y="9" width="3" height="3"/><rect x="4" y="6" width="3" height="6"/>'
    '<rect x="8" y="3" width="3" height="9"/><rect x="12" y="0" width="3" height="12"/>'
)


@register.simple_tag
def icon(name: str, size: str = "", cls: str = "") -> SafeString:
    """Draw a symbol of ``static/icons.svg``; ``size`` is "" or "sm". Decorative: words stand beside it."""
    classes = " ".join(filter(None, ["icon", f"icon-{size}" if size else "", cls]))
    return format_html(
        '<svg class="{}" width="18" height="18" aria-hidden="true"><use href="{}#{}"/></svg>',
        classes,
        static("icons.svg"),
        name,
    )


@register.simple_tag
def level_bars(level: str) -> SafeString:
    """Draw one to four bars for an access level, sliders for a custom role."""
    if level not in list(AccessLevel):
        return icon("adjustments", size="sm")
    height = list(AccessLevel).index(AccessLevel(level)) + 1
    return format_html('<svg class="ph-bars lv{}" viewBox="0 0 15 12" aria-hidden="true">{}</svg>', height, _BARS)


@register.filter
def level_name(level: str) -> str:
    """Return what an access level is called."""
    return _("Custom role") if level == CUSTOM else AccessLevel(level).label if level in list(AccessLevel) else level


@register.filter
def environment_name(environment: str) -> str:
    """Return what an environment is called."""
    return str(Environment(environment).label) if environment in Environment.values else environment


@register.simple_tag
def field_widget(field: BoundField, hint: str = "") -> SafeString:
    """Render a bound field's widget with our classes, tied to the hint and error of ``_field.html``."""
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        css = "form-check-input"
    elif isinstance(widget, forms.Select):
        css = "form-select"
    else:
        css = "form-control"
    attrs: dict[str, Any] = {
        "class": " ".join(filter(None, [css, widget.attrs.get("class", ""), "is-invalid" if field.errors else ""]))
    }
    described_by = " ".join(
        filter(
            None,
            [
                f"{field.auto_id}_error" if field.errors else "",
                f"{field.auto_id}_hint" if hint or field.help_text else "",
            ],
        )
    )
    if described_by:
        attrs["aria-describedby"] = described_by
    if field.errors:
        attrs["aria-invalid"] = "true"
    return field.as_widget(attrs=attrs)


@register.simple_tag
def option_input(option: BoundWidget, cls: str = "form-check-input") -> SafeString:
    """Render the input of one option of a radio or checkbox group with our class."""
    option.data["attrs"]["class"] = cls
    return option.tag()


@register.filter
def widget_kind(field: BoundField) -> str:
    """Return "choices" for a group of boxes or radios, "checkbox" for a single box, else "field"."""
    widget = field.field.widget
    if isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        return "choices"
    return "checkbox" if isinstance(widget, forms.CheckboxInput) else "field"


@register.filter
def initials(name: str) -> str:
    """Return two capitals: of the first two words, or the first two letters of a single word."""
    words = str(name or "").split()
    letters = words[0][:2] if len(words) == 1 else "".join(word[0] for word in words[:2])
    return letters.upper()


@register.filter
def moment(at: datetime.datetime | None) -> SafeString | str:
    """Write an aware moment in the reader's zone, as "14 Nov 2026, 10:12", in a <time> whose title says it in UTC."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    zone = " UTC" if timezone.get_current_timezone_name() == "UTC" else ""
    return _time(at, f"{day_words(local)}, {dateformat.format(local, 'H:i')}{zone}")


@register.filter
def day(at: datetime.date | datetime.datetime | None) -> SafeString | str:
    """Write a day, or the day of an aware moment in the reader's zone, as "18 Feb 2027" in a <time>."""
    if at is None:
        return ""
    if isinstance(at, datetime.datetime):
        return _time(at, day_words(timezone.localtime(at)))
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), day_words(at))


def day_words(at: datetime.date) -> str:
    """Write a day for the reader, "18 Feb 2027", as it stands."""
    if get_language() == "ru":
        # The first letters of the genitive: «5 мая», where the abbreviation would be «5 май».
        return f"{at.day} {dateformat.format(at, 'E')[:3]} {at.year}"
    return dateformat.format(at, "j M Y")


def _time(at: datetime.datetime, words: str) -> SafeString:
    universal = at.astimezone(datetime.UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        universal.strftime("%Y-%m-%dT%H:%M:%SZ"),
        dateformat.format(universal, "j E Y, H:i:s") + " UTC",
        words,
    )


@register.filter
def callout_class(level_tag: str) -> str:
    """Return the callout's class for a message level."""
    return {"success": "is-ok", "warning": "is-warn", "error": "is-danger"}.get(level_tag, "is-tip")


@register.filter
def callout_icon(level_tag: str) -> str:
    """Return the icon's name for a message level."""
    return {"success": "circle-check", "warning": "alert-triangle", "error": "alert-circle"}.get(
        level_tag, "info-circle"
    )
