"""The staff admin's site, for staff who proved a second factor, and what all of its sections share.

What a staff member may see and do is what their groups permit (`apikeys.staff_groups`), and each page of our own names
its permission. Each change writes its audit row in its own transaction, and that trail is the only history: Django's
admin log stays empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import URLPattern, URLResolver, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.views.decorators.cache import never_cache
from django_otp.admin import OTPAdminSite

from accounts.admin_paging import CappedPaginator
from accounts.views.errors import bad_request

LATEST_EVENTS = 10
REFUSED = "Your staff role does not include that. Ask a superuser for the group that does."
NOBODYS = "Nobody does that here, superusers included: it has a page of its own, or none."
#: What a filter of a column may ask of it. A path through a relation is none of these.
FILTER_LOOKUPS = {"exact", "isnull", "in", "gte", "lt", "year", "month", "day"}
APPOINTERS = 5


class LabelledAutocomplete(AutocompleteJsonView):
    """Autocomplete whose section may say more than a name: two accounts may have a miner of one name each."""

    def process_request(self, request: HttpRequest) -> Any:
        """Refuse a relation that is another model's column: no form searches by it, and Django's view would crash."""
        term, model_admin, source_field, to_field_name = super().process_request(request)
        if not source_field.concrete:
            raise PermissionDenied
        return term, model_admin, source_field, to_field_name

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
        self.disable_action("delete_selected")  # without a code; where rows go, their section has an action of its own

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

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this is staff with a second factor that is still a confirmed one."""
        user: Any = request.user
        return super().has_permission(request) and bool(user.otp_device.confirmed)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from accounts.models import AuditEvent, User

        context: dict[str, Any] = {}
        if request.user.has_perm("accounts.view_auditevent"):
            context["latest_events"] = AuditEvent.objects.all()[:LATEST_EVENTS]
        # Whom to ask for a role: superusers appoint staff. Shown to who has none.
        context["appointers"] = User.objects.filter(is_superuser=True, is_active=True).order_by("name")[:APPOINTERS]
        return super().index(request, {**context, **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The sections, with passkeys called by the name that people know."""
        found = super().get_app_list(request, app_label)
        for app in found:
            if app["app_label"] == "django_otp_webauthn":
                app["name"] = "Passkeys"
                for model in app["models"]:
                    model["name"] = "Passkeys"
        return found

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return LabelledAutocomplete.as_view(admin_site=self)(request)


class AccountFilter(admin.SimpleListFilter):
    """The rows of one account: its slug, as links write it, or a part of its name, as people type it.

    A field, since a list of links or options would be as long as the customer list.
    """

    title = "account"
    parameter_name = "account"
    template = "admin/account_filter.html"
    OFFERED = 8

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if not self.value():
            return []
        return list(self._accounts().values_list("slug", "name")[: self.OFFERED])

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(account__in=self._accounts().order_by()) if self.value() else queryset

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
        self.typed = self.value() or ""
        self.everything = changelist.get_query_string(remove=[self.parameter_name])
        for slug, name in self.lookup_choices:
            yield {
                "query_string": changelist.get_query_string({self.parameter_name: slug}),
                "display": name,
                "selected": slug == self.typed,
            }

    def _accounts(self) -> QuerySet[Any]:
        from accounts.models import Account

        text = (self.value() or "").replace("\0", "").strip()
        if Account.objects.filter(slug=text).exists():
            return Account.objects.filter(slug=text)
        return Account.objects.filter(Q(name__icontains=text) | Q(slug__icontains=text))


class StaffPermissions(BaseModelAdmin):
    """Who may what by Django's permissions, which groups give; nobody deletes. Sections say where they differ."""

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Without the icons that open other sections in popups: each section is one click away in the menu."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        widget = getattr(field, "widget", None)
        if isinstance(widget, RelatedFieldWidgetWrapper):
            widget.can_add_related = widget.can_change_related = widget.can_delete_related = False
            widget.can_view_related = False
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """With autocomplete that a broken ID, in a link or a form, doesn't crash."""
        from accounts.admin_pages import ForgivingAutocomplete

        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", ForgivingAutocomplete(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def permission(self, action: str) -> str:
        """The permission that ``action`` (view, add, change or delete) takes: of the model itself, not of a proxy."""
        opts = self.opts.concrete_model._meta  # type: ignore[union-attr]
        return f"{opts.app_label}.{action}_{opts.model_name}"

    def may(self, request: HttpRequest, *permissions: str) -> bool:
        """Whether this staff member proved a second factor and has all of ``permissions``."""
        return self.admin_site.has_permission(request) and request.user.has_perms(permissions)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.permission("view"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.permission("add"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.permission("change"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LabelledFormSet(forms.BaseInlineFormSet):
    """Names each field of a row for who can't see the column's head: Django's table names none."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for name, field in form.fields.items():
            field.widget.attrs.setdefault("aria-label", str(field.label or name).capitalize())


class StaffModelAdmin(StaffPermissions, admin.ModelAdmin):
    """A section: filtered only by its own filters, and every change of its rows and inlines is audited."""

    #: What audit actions call a row: ``account`` gives account.created and account.changed.
    audit_noun = ""
    #: Inline model -> the same for its rows, which are added and changed.
    inline_audit_nouns: dict[type[models.Model], str] = {}
    #: What people call a row, and several, where the model is another's and has another name.
    nouns: tuple[str, str] | None = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    list_per_page = 50
    paginator = CappedPaginator

    def account_of(self, obj: Any) -> Any:
        """The account in whose trail a change of ``obj`` belongs, if any."""
        return getattr(obj, "account", None)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list under its section's name: "Select … to change" is said of a list that one only picks from."""
        title = capfirst(self.nouns[1] if self.nouns else self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        """Django's own pages, each behind its permission here: a page of ours in place of one can't forget it."""
        permitted: dict[str, Callable[[HttpRequest], bool]] = {
            "changelist": self.has_view_permission,
            "add": self.has_add_permission,
            "history": self.has_view_permission,
            "delete": self.has_delete_permission,
            "change": self.has_view_permission,
        }
        urls: list[URLPattern] = super().get_urls()
        for url in urls:
            # The nameless one leads from where Django's admin had its change pages once.
            url.callback = self._guard(url.callback, permitted[(url.name or "change").rpartition("_")[2]])
        return urls

    def page(self, view: Callable[..., HttpResponseBase], *permissions: str) -> Callable[..., HttpResponseBase]:
        """A page of the section's own, for staff who have all of ``permissions``; one at least is named."""
        if not permissions:
            raise ValueError("A page of the staff admin names the permission that it takes.")
        guarded: Any = self._guard(view, lambda request: self.may(request, *permissions))
        guarded.permissions = permissions
        return guarded

    def _guard(
        self, view: Callable[..., HttpResponseBase], permitted: Callable[[HttpRequest], bool]
    ) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not permitted(request):
                raise PermissionDenied(NOBODYS if request.user.is_superuser else REFUSED)
            try:
                return view(request, *args, **kwargs)
            except DisallowedModelAdminLookup as error:
                if "%00" not in request.GET.urlencode():
                    raise  # somebody probes columns, and the log has it
                return bad_request(request, error)

        return self.admin_site.admin_view(guarded)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the section's own filters alone: Django would let any local field be probed letter by letter."""
        if "\0" in value:  # which PostgreSQL crashes on
            return False
        filters = self.get_list_filter(request) if request is not None else self.list_filter
        fields = [self.date_hierarchy] if self.date_hierarchy else []
        for item in filters:
            if isinstance(item, type) and issubclass(item, admin.ListFilter):
                if lookup in getattr(item, "parameter_names", [getattr(item, "parameter_name", None)]):
                    return True
            else:
                fields.append(str(item[0] if isinstance(item, list | tuple) else item))
        column, _, asked = lookup.rpartition("__")
        return lookup in fields or (column in fields and asked in FILTER_LOOKUPS)

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
        super().save_formset(request, form, formset, change)
        forms_of = {row.instance.pk: row for row in formset.forms}
        for obj in formset.new_objects:
            self.record(request, f"{noun}.added", obj, account, values=values_of(forms_of[obj.pk]))
        for obj, _ in formset.changed_objects:
            self.record(request, f"{noun}.changed", obj, account, changes=changes_of(forms_of[obj.pk]))

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
    of_model = {field.name for field in form._meta.model._meta.get_fields()}
    listed = of_model.intersection(form._meta.fields or ())
    return [name for name in form.fields if name in listed and "password" not in name]


def _plain(value: Any) -> Any:
    if isinstance(value, models.Model):
        value = value.pk
    return value if value is None or isinstance(value, bool | int) else str(value)
