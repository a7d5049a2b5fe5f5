"""People and their passkeys in the staff admin. A name is edited; what is dangerous is a page that takes a code.

The password's hash and the second factor are shown to nobody. Only superusers appoint staff, and nobody themselves:
see `accounts.people`, where each of these pages has its function.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminEmailInputWidget
from django.contrib.auth import admin as auth_admin  # registers Group, which is taken back below
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_otp.plugins.otp_totp import admin as totp_admin
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from accounts import people
from accounts.admin_pages import AdminStepUpForm, NoteField, render_form
from accounts.admin_site import StaffModelAdmin
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import User
from accounts.second_factor import has_second_factor
from accounts.templatetags.pithead import moment

# Both modules register what they have when imported. A seed must never be shown, and what a group permits is code's.
for module, model in [(totp_admin, TOTPDevice), (auth_admin, Group)]:
    if module.admin.site.is_registered(model):
        admin.site.unregister(model)

confirmed = [sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])]


class PersonAddForm(BaseUserCreationForm):
    """A new person with an initial password, which whoever adds them hands over."""

    class Meta:
        model = User
        fields = ["email", "name"]
        field_classes: dict[str, Any] = {}


class EmailForm(AdminStepUpForm):
    step_up_action = people.CHANGE_EMAIL

    email = forms.EmailField(
        label="New e-mail",
        max_length=254,
        widget=AdminEmailInputWidget(attrs={"autocomplete": "off"}),
        error_messages={"required": "Type the new address."},
    )


class GroupsField(forms.ModelMultipleChoiceField):
    """Groups by their names, each with what it permits. A number from a form might be more than a database holds."""

    def __init__(self, queryset: QuerySet[Group], **kwargs: Any) -> None:
        super().__init__(queryset, to_field_name="name", **kwargs)

    def label_from_instance(self, obj: Any) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', obj.name, permitted_by(obj))


class AccessForm(AdminStepUpForm):
    step_up_action = people.GIVE_ACCESS

    is_active = forms.BooleanField(
        label="Active", required=False, help_text="May sign in. Untick instead of deleting the person."
    )
    is_staff = forms.BooleanField(label="Staff", required=False, help_text="May enter the staff admin.")
    groups = GroupsField(
        Group.objects.order_by("name").prefetch_related("permissions__content_type"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What staff may see and do there. In no group: nothing.",
    )


class ResetForm(AdminStepUpForm):
    step_up_action = people.RESET_SECOND_FACTOR

    reason = NoteField(
        help_text="How you made sure who asks. It stays in the audit trail.",
        error_messages={"required": "Say how you made sure who asks."},
    )


class GroupFilter(admin.SimpleListFilter):
    """Who is in which group of staff."""

    title = "group"
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in Group.objects.order_by("name").values_list("name", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(groups__name=self.value()) if self.value() else queryset


@admin.register(User)
class UserAdmin(StaffModelAdmin):
    audit_noun = "user"
    list_display = ["email", "name", "is_active", "is_staff", "group_list", "joined"]
    list_filter = ["is_staff", "is_active", GroupFilter]
    search_fields = ["name", "email"]
    ordering = ["email"]
    readonly_fields = [
        *["email", "account_list", "is_active", "is_staff", "group_list", "is_superuser", "second_factor"],
        *["joined", "seen", "browsers"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        if obj is not None and obj != request.user and not people.may_change(_staff(request), obj):
            return False
        return super().has_change_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = PersonAddForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["email", "name", "password1", "password2"]})]
        memberships = ["account_list"] if self.may(request, "accounts.view_membership") else []
        return [
            (None, {"fields": ["email", "name", *memberships]}),
            ("Access", {"fields": ["is_active", "is_staff", "group_list", "is_superuser", "second_factor"]}),
            ("Dates", {"fields": ["joined", "seen", "browsers"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return self.readonly_fields if obj else []

    @method_decorator(sensitive_post_parameters("password1", "password2"))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(request, form_url, extra_context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the buttons for what this staff member may do to this person."""
        person = kwargs.get("obj")
        context["changeable"] = person is not None and self._why_not(request, person) == ""
        return super().render_change_form(request, context, *args, **kwargs)

    def autocomplete_label(self, obj: User) -> str:
        return f"{obj.name} <{obj.email}>" if obj.name else obj.email

    @admin.display(description="Second factor", boolean=True)
    def second_factor(self, obj: User) -> bool:
        return has_second_factor(obj)

    @admin.display(description="Groups")
    def group_list(self, obj: User) -> str:
        return ", ".join(sorted(group.name for group in obj.groups.all())) or "–"

    @admin.display(description="Accounts")
    def account_list(self, obj: User) -> SafeString:
        """The accounts that the person belongs to, each with what they are there."""
        rows = obj.memberships.select_related("account").order_by("account__name")
        links = [
            (
                reverse("admin:accounts_account_change", args=[row.account_id]),
                row.account,
                "Owner" if row.is_owner else row.get_access_level_display(),
            )
            for row in rows
        ]
        return format_html_join(mark_safe("<br>"), '<a href="{}">{}</a>, {}', links) or SafeString("None")

    @admin.display(description="Joined", ordering="date_joined")
    def joined(self, obj: User) -> SafeString | str:
        return moment(obj.date_joined)

    @admin.display(description="Last sign-in")
    def seen(self, obj: User) -> SafeString | str:
        return moment(obj.last_login) or "Never"

    @admin.display(description="Signed in")
    def browsers(self, obj: User) -> str:
        count = obj.signed_in_sessions.count()
        return {0: "Nowhere", 1: "In 1 browser"}.get(count, f"In {count} browsers")

    # What is dangerous

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Any, permission: str) -> URLPattern:
            route = f"<int:object_id>/{name.replace('_', '-')}/"
            return path(route, self.page(view, permission), name=f"accounts_user_{name}")

        return [
            page("email", self.email_view, "accounts.change_user"),
            page("access", self.access_view, "accounts.change_user"),
            page("reset_second_factor", self.reset_view, "accounts.change_user"),
            page("sign_out", self.sign_out_view, "accounts.sign_out_user"),
            *super().get_urls(),
        ]

    @method_decorator(confirmed)
    def email_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        person = self._changeable(request, object_id)
        form = EmailForm(request.POST or None, user=_staff(request))
        if request.method == "POST" and form.is_valid():
            try:
                if form.proof is not None:
                    people.change_email(person, form.cleaned_data["email"], actor=_actor(request, form))
                    messages.success(request, f"{person} signs in with {form.cleaned_data['email'].lower()} now.")
                return _page(person)
            except Refused as refused:
                _refuse(form, refused)
        return self._confirm(
            request,
            form,
            person,
            title="Change the e-mail address",
            intro=f"Now {person.email}. Links to set a new password go to the new address. Both are told by mail.",
            fields=["email", "code"],
            submit="Change the address",
        )

    @method_decorator(confirmed)
    def access_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        if not request.user.is_superuser:
            raise PermissionDenied("Only superusers appoint staff.")
        person = self._changeable(request, object_id)
        initial = {"is_active": person.is_active, "is_staff": person.is_staff, "groups": people.group_names(person)}
        form = AccessForm(request.POST or None, user=_staff(request), initial=initial)
        if request.method == "POST" and form.is_valid():
            chosen = form.cleaned_data
            try:
                if form.proof is not None:
                    people.give_access(
                        person,
                        active=chosen["is_active"],
                        staff=chosen["is_staff"],
                        groups=chosen["groups"],
                        actor=_actor(request, form),
                    )
                    messages.success(request, f"The access of {person} is saved. It holds from the next click on.")
                return _page(person)
            except Refused as refused:
                _refuse(form, refused)
        return self._confirm(
            request,
            form,
            person,
            title="Access",
            intro="Whoever is not active is signed out at once, and their account’s keys go on working.",
            fields=["is_active", "is_staff", "groups", "code"],
            submit="Save",
        )

    @method_decorator(confirmed)
    def reset_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        person = self._changeable(request, object_id)
        form = ResetForm(request.POST or None, user=_staff(request))
        if request.method == "POST" and form.is_valid():
            try:
                if form.proof is not None:
                    people.reset_second_factor(person, reason=form.cleaned_data["reason"], actor=_actor(request, form))
                    messages.success(request, f"{person} sets another second factor up when they next sign in.")
                return _page(person)
            except Refused as refused:
                _refuse(form, refused)
        return self._confirm(
            request,
            form,
            person,
            title="Reset the second factor?",
            intro="For somebody who lost phone, passkeys and recovery codes. All of these stop, every browser is "
            "signed out, and from then on the password alone leads to the set-up of another: make sure who asks. "
            "A mail tells the person.",
            fields=["reason", "code"],
            submit="Reset the second factor",
            danger=True,
        )

    @method_decorator(require_POST)
    def sign_out_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """One click: stopping must be quick."""
        person = get_object_or_404(User, pk=object_id)
        if person == request.user:
            messages.info(request, "You end your own sessions in your user menu, under “Sessions”.")
        else:
            ended = people.sign_out(person, actor=Actor.from_request(request, via="admin"))
            where = {0: "nowhere", 1: "in one browser"}.get(ended, f"in {ended} browsers")
            messages.success(request, f"{person} was signed in {where}, and is signed out.")
        return _page(person)

    def _changeable(self, request: HttpRequest, object_id: int) -> User:
        """The person, whom this staff member may change. Raises Http404, PermissionDenied."""
        person = get_object_or_404(User, pk=object_id)
        if reason := self._why_not(request, person):
            raise PermissionDenied(reason)
        return person

    def _why_not(self, request: HttpRequest, person: User) -> str:
        if person == request.user:
            return "What is your own you change in your own settings; another superuser changes your access."
        return "" if people.may_change(_staff(request), person) else "Only superusers change staff."

    def _confirm(
        self, request: HttpRequest, form: AdminStepUpForm, person: User, *, fields: list[str], **words: Any
    ) -> HttpResponse:
        return render_form(
            self,
            request,
            form,
            subtitle=str(person),
            parent=(str(person), _url(person)),
            fieldsets=[(None, {"fields": fields})],
            **words,
        )


@admin.register(WebAuthnCredential)
class PasskeyAdmin(StaffModelAdmin):
    """Who has which passkey, to read: what support needs to know, and nothing of the keys themselves."""

    nouns = ("passkey", "passkeys")
    list_display = ["person", "name", "added", "used"]
    list_display_links = ["name"]
    search_fields = ["name", "user__email", "user__name"]
    list_select_related = ["user"]
    ordering = ["-created_at"]
    actions = None
    fields = ["person", "name", "added", "used"]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, {"title": "View passkey", **(extra_context or {})})

    def permission(self, action: str) -> str:
        return f"accounts.{action}_user"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Person", ordering="user__email")
    def person(self, obj: Any) -> str:
        return str(obj.user.email)

    @admin.display(description="Added", ordering="created_at")
    def added(self, obj: Any) -> SafeString | str:
        return moment(obj.created_at)

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, obj: Any) -> SafeString | str:
        return moment(obj.last_used_at) or "Never"


def permitted_by(group: Group) -> str:
    """What ``group`` permits, in words: ``view account, API key; disable API keys``."""
    verbs: dict[str, list[str]] = {"view": [], "add": [], "change": [], "delete": []}
    others = []
    for permission in group.permissions.all():
        verb, _, noun = permission.name.removeprefix("Can ").partition(" ")
        if permission.codename == f"{verb}_{permission.content_type.model}":
            verbs.setdefault(verb, []).append(noun)
        else:
            others.append(f"{verb} {noun}")
    grouped = [f"{verb} {', '.join(sorted(nouns, key=str.lower))}" for verb, nouns in verbs.items() if nouns]
    return "; ".join([*grouped, *sorted(others)])


def _refuse(form: AdminStepUpForm, refused: Refused) -> None:
    form.renew()
    form.add_error(refused.field if refused.field in form.fields else None, str(refused))


def _actor(request: HttpRequest, form: AdminStepUpForm) -> Actor:
    return Actor.from_request(request, via="admin", proof=form.proof)


def _staff(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user


def _url(person: User) -> str:
    return reverse("admin:accounts_user_change", args=[person.pk])


def _page(person: User) -> HttpResponse:
    return redirect(_url(person))
