"""The staff admin's site, for staff who proved a second factor, and what all of its sections share.

Every section is open to every staff member: what a section lets them do is written in the section, not in Django's
per-model permissions, which no page gives. Each change writes its audit row in its own transaction, and that trail is
the only history: Django's admin log stays empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import URLPattern, URLResolver, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django_otp.admin import OTPAdminSite

LATEST_EVENTS = 10


class LabelledAutocomplete(AutocompleteJsonView):
    """Autocomplete whose section may say more than a name: two accounts may have a miner of one name each."""

    def serialize_result(self, obj: models.Model, to_field_name: str) -> dict[str, Any]:
        label = getattr(self.model_admin, "autocomplete_label", str)
        return {**super().serialize_result(obj, to_field_name), "text": label(obj)}


class StaffSite(OTPAdminSite):
    site_header = "Pithead staff"
    site_title = "Pithead staff"
    index_title = "Watch over accounts, entities and keys"
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Without password pages (a password is its person’s business) and "view on site" (no row has a page)."""
        gone = {"password_change", "password_change_done", "view_on_site"}
        return [url for url in super().get_urls() if getattr(url, "name", None) not in gone]

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send people to the web login: django-otp's own form echoes the password into its second step.

        Who is signed in already goes on, or is told that this is not for them: signing in again would not help.
        """
        from accounts.views.sign_in import safe_next

        if request.user.is_authenticated and request.user.is_verified():
            if not self.has_permission(request):
                raise PermissionDenied("The staff admin is for the pool's staff.")
            return redirect(safe_next(request) or resolve_url("admin:index"))
        target = request.GET.get("next") or resolve_url("admin:index")
        return redirect_to_login(target, login_url=resolve_url("accounts:sign-in"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from accounts.views.sign_in import sign_out

        return sign_out(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from accounts.models import AuditEvent

        latest = AuditEvent.objects.all()[:LATEST_EVENTS]
        return super().index(request, {"latest_events": latest, **(extra_context or {})})

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return LabelledAutocomplete.as_view(admin_site=self)(request)


class AccountFilter(admin.SimpleListFilter):
    """One account of many, chosen in a select: a list of links would be as long as the customer list."""

    title = "account"
    parameter_name = "account"
    template = "admin/account_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        from accounts.models import Account

        return list(Account.objects.values_list("slug", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(account__slug=self.value()) if self.value() else queryset

    def choices(self, changelist: Any) -> Iterator[Any]:
        # The other filters travel along as hidden fields.
        self.kept = [
            (name, value)
            for name, values in changelist.get_filters_params().items()
            for value in (values if isinstance(values, list | tuple) else [values])
            if name != self.parameter_name
        ]
        if changelist.query:
            self.kept.append((SEARCH_VAR, changelist.query))
        yield {"value": "", "display": "All accounts", "selected": not self.value()}
        for slug, name in self.lookup_choices:
            yield {"value": slug, "display": name, "selected": slug == self.value()}


class StaffPermissions(BaseModelAdmin):
    """Every staff member sees, adds and changes; nobody deletes. Sections and inlines say where they differ."""

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Without the icons that open other sections in popups: each section is one click away in the menu."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        widget = getattr(field, "widget", None)
        if isinstance(widget, RelatedFieldWidgetWrapper):
            widget.can_add_related = widget.can_change_related = widget.can_delete_related = False
            widget.can_view_related = False
        return field

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StaffModelAdmin(StaffPermissions, admin.ModelAdmin):
    """A section: filtered only by its own filters, and every change of its rows and inlines is audited."""

    #: What audit actions call a row: ``account`` gives account.created and account.changed.
    audit_noun = ""
    #: Inline model -> the same for its rows, which are added, changed and removed.
    inline_audit_nouns: dict[type[models.Model], str] = {}
    show_full_result_count = False
    list_per_page = 50

    def account_of(self, obj: Any) -> Any:
        """The account in whose trail a change of ``obj`` belongs, if any."""
        return getattr(obj, "account", None)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the section's own filters alone: Django would let any local field be probed letter by letter."""
        filters = self.get_list_filter(request) if request is not None else self.list_filter
        fields = [self.date_hierarchy] if self.date_hierarchy else []
        for item in filters:
            if isinstance(item, type) and issubclass(item, admin.SimpleListFilter):
                if lookup == item.parameter_name:
                    return True
            else:
                fields.append(str(item[0] if isinstance(item, list | tuple) else item))
        return any(lookup == field or lookup.startswith(f"{field}__") for field in fields)

    def record(self, request: HttpRequest, action: str, target: models.Model, account: Any, **data: Any) -> None:
        from accounts import audit

        audit.record(
            action, actor=audit.Actor.from_request(request, via="admin"), account=account, target=target, **data
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            self.record(request, f"{self.audit_noun}.created", obj, self.account_of(obj), values=values_of(form))
        elif changes := changes_of(form):
            self.record(request, f"{self.audit_noun}.changed", obj, self.account_of(obj), changes=changes)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        noun, account = self.inline_audit_nouns[formset.model], self.account_of(form.instance)
        for removed in formset.deleted_forms:
            if removed.instance.pk:  # gone after the save
                self.record(request, f"{noun}.removed", removed.instance, account)
        super().save_formset(request, form, formset, change)
        forms_of = {row.instance.pk: row for row in formset.forms}
        for obj in formset.new_objects:
            self.record(request, f"{noun}.added", obj, account, values=values_of(forms_of[obj.pk]))
        for obj, _ in formset.changed_objects:
            self.record(request, f"{noun}.changed", obj, account, changes=changes_of(forms_of[obj.pk]))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.record(request, f"{self.audit_noun}.removed", obj, self.account_of(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self.delete_model(request, obj)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The audit trail, narrowed to this row."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        query = urlencode(self.history_query(obj))
        return redirect(f"{reverse('admin:accounts_auditevent_changelist')}?{query}")

    def history_query(self, obj: Any) -> dict[str, str]:
        return {"target": f"{self.opts.model_name}:{obj.pk}"}

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None


def values_of(form: forms.ModelForm) -> dict[str, Any]:
    """What a form set on a new row: model fields alone, so a typed password is never among them."""
    return {name: _plain(form.cleaned_data.get(name)) for name in _audited(form)}


def changes_of(form: forms.ModelForm) -> dict[str, dict[str, Any]]:
    """What a form changed, before and after."""
    return {
        name: {"from": _plain(form.initial.get(name)), "to": _plain(form.cleaned_data.get(name))}
        for name in _audited(form)
        if name in form.changed_data
    }


def _audited(form: forms.ModelForm) -> list[str]:
    return [name for name in form.fields if name in (form._meta.fields or ()) and "password" not in name]


def _plain(value: Any) -> Any:
    if isinstance(value, models.Model):
        value = value.pk
    return value if value is None or isinstance(value, bool | int) else str(value)
