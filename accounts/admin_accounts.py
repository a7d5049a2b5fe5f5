"""Accounts in the staff admin: their page, their policies and their members.

The page edits the name. Whatever else staff change is a page of its own that asks for a code, and calls the function
that owners' pages call as well: their rules hold for staff too. `apikeys.admin.accounts` adds what concerns keys.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import members, policies
from accounts.access_levels import AccessLevel
from accounts.admin_pages import (
    AdminStepUpForm,
    ForgivingAutocomplete,
    confirmed,
    render_form,
    staff_actor,
    staff_user,
)
from accounts.admin_site import StaffModelAdmin
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.member_forms import ChangeForm, PlaceForm, RemoveForm
from accounts.models import Account, AuditEvent, Membership, User
from accounts.policies import POLICIES, Policy
from accounts.suspension import latest_change
from accounts.templatetags.pithead import moment

SHOWN_EVENTS = 10
#: The policies that owners may change unless staff pin them; the others are the plan's.
PINNABLE = [policy.field for policy in POLICIES.values() if not policy.of_plan]
PLACE = ["is_owner", "access_level", "key_permissions"]
CONFIRM: tuple[str, Any] = ("Confirm", {"fields": ["code"]})


class SuspendedFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Active"), ("suspended", "Suspended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        suspended = {"active": False, "suspended": True}.get(self.value() or "")
        return queryset if suspended is None else queryset.filter(suspended_at__isnull=not suspended)


class PoliciesForm(AdminStepUpForm):
    """A field for each policy, and beside it whether it is pinned. What was not touched is not written."""

    step_up_action = policies.SET

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        pins = {pin_of(field): field in account.pinned_policies for field in PINNABLE}
        values = {field: getattr(account, field) for field in POLICIES}
        super().__init__(*args, initial={**values, **pins}, **kwargs)
        self.account = account
        for policy in POLICIES.values():
            self.fields[policy.field] = _policy_field(policy)
            if policy.field in PINNABLE:
                self.fields[pin_of(policy.field)] = forms.BooleanField(label="Pinned", required=False)
        for name in [*values, *pins]:
            # What the page showed travels along: saving one policy must not undo another that changed meanwhile.
            self.fields[name].show_hidden_initial = True

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        try:
            policies.check_policies(self.account, self.values(), by_owner=False)
        except Refused as refused:
            self.refuse(refused)
        return data

    def values(self) -> dict[str, bool | int | None]:
        """The arguments of policies.set_policies(): what was changed on the page."""
        return {field: self.cleaned_data[field] for field in POLICIES if field in self._touched}

    def pins(self, pinned: bool) -> list[str]:
        """The policies that were pinned on the page, or freed."""
        touched = [field for field in PINNABLE if pin_of(field) in self._touched]
        return [field for field in touched if self.cleaned_data[pin_of(field)] is pinned]

    @property
    def _touched(self) -> set[str]:
        return set(self.changed_data) & self.cleaned_data.keys()


def pin_of(field: str) -> str:
    """What the form calls the pin of a policy."""
    return f"pin_{field}"


def _policy_field(policy: Policy) -> forms.Field:
    if policy.is_switch:
        return forms.BooleanField(label=policy.label, help_text=policy.help, required=False)
    return forms.IntegerField(
        label=format_html("{} ({})", policy.label, policy.unit),
        help_text=policy.help,
        required=False,
        # As text: a field of type "number" drops what it can't read, and nobody sees what was wrong.
        widget=forms.TextInput({"inputmode": "numeric", "class": "vIntegerField", "placeholder": policy.empty}),
        error_messages={"invalid": policy.bounds},
    )


class AddMemberForm(PlaceForm, AdminStepUpForm):
    step_up_action = members.ADD

    person = forms.ModelChoiceField(
        User.objects.all(),
        widget=ForgivingAutocomplete(Membership._meta.get_field("user"), admin.site),
        help_text="Who is not here yet: an owner invites them, or you add them under People first.",
        error_messages={"required": "Choose a person."},
    )

    def judge(self) -> None:
        members.check_new(self.account, self.cleaned_data["person"], self.place)


class ChangeMemberForm(ChangeForm, AdminStepUpForm):
    pass


class RemoveMemberForm(RemoveForm, AdminStepUpForm):
    pass


@admin.register(Account)
class AccountAdmin(StaffModelAdmin):
    audit_noun = "account"
    list_display = ["name", "slug", "member_count", "suspended"]
    list_filter = [SuspendedFilter]
    search_fields = ["name", "slug", "=id"]

    def account_of(self, obj: Account) -> Account:
        return obj

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = Membership.objects.filter(account=OuterRef("pk")).order_by().values("account")
        counted = Subquery(rows.annotate(count=Count("pk")).values("count"))
        return super().get_queryset(request).annotate(member_count=Coalesce(counted, 0))

    def get_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        return ["name", "slug", "public_id", "created", "status"] if obj else ["name", "slug"]

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> list[str]:
        # Links and bookmarks of the account's people hold the slug.
        return ["slug", "public_id", "created", "status"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Account | None = None) -> dict[str, Any]:
        return {} if obj else {"slug": ["name"]}

    def history_query(self, obj: Account) -> dict[str, str]:
        return {"account": obj.slug}

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Account | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context.update(self.facts(obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def facts(self, account: Account) -> dict[str, Any]:
        """What the page shows of ``account`` below its name."""
        return {
            "policy_groups": [
                (title, [_policy_row(account, POLICIES[field]) for field in rows])
                for _, title, _, rows in policies.GROUPS
            ],
            "members": members.of_account(account),
            "latest_events": AuditEvent.objects.filter(account=account)[:SHOWN_EVENTS],
        }

    # Columns and facts

    @admin.display(description="Members", ordering="member_count")
    def member_count(self, obj: Any) -> int:
        count: int = obj.member_count
        return count

    @admin.display(description="Suspended", ordering="suspended_at")
    def suspended(self, obj: Account) -> SafeString | str:
        return moment(obj.suspended_at) or "–"

    @admin.display(description="ID")
    def public_id(self, obj: Account) -> SafeString:
        return format_html("<code>{}</code>", obj.pk)

    @admin.display(description="Created")
    def created(self, obj: Account) -> SafeString | str:
        return moment(obj.created_at)

    @admin.display(description="Status")
    def status(self, obj: Account) -> SafeString:
        if obj.suspended_at is None:
            return format_html('<span class="ph-status is-active">{}</span>', "Active")
        event = latest_change(obj)
        return format_html(
            '<span class="ph-status is-revoked">{}</span> since {}{}',
            "Suspended",
            moment(obj.suspended_at),
            f" by {event.actor_name}: {event.data.get('reason', '')}" if event else "",
        )

    # Pages

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, name: str, view: Any, permission: str) -> URLPattern:
            return path(f"<uuid:object_id>/{route}/", self.page(view, permission), name=f"accounts_account_{name}")

        member = "members/<int:member_id>"
        return [
            page("policies", "policies", self.policies_view, "accounts.change_account"),
            page("members/add", "member_add", self.add_member_view, "accounts.add_membership"),
            page(f"{member}/change", "member_change", self.change_member_view, "accounts.change_membership"),
            page(f"{member}/remove", "member_remove", self.remove_member_view, "accounts.delete_membership"),
            *super().get_urls(),
        ]

    @confirmed
    def policies_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        account = get_object_or_404(Account, pk=object_id)
        form = PoliciesForm(request.POST or None, user=staff_user(request), account=account)
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                return account_page(account)
            actor = staff_actor(request, form)
            try:
                with transaction.atomic():
                    policies.set_policies(account, actor=actor, **form.values())
                    policies.pin(account, *form.pins(True), actor=actor)
                    policies.unpin(account, *form.pins(False), actor=actor)
            except Refused as refused:
                form.renew()
                form.refuse(refused)
            else:
                messages.success(request, f"The policies of {account} are saved.")
                return account_page(account)
        return self.render_page(
            request,
            account,
            form,
            title="Change policies",
            intro="The account’s owners set these as well, but for what you pin: that they see, and only staff change. "
            "They are told by mail of what you change. Nothing stops at a lowered limit: it holds for what comes.",
            fieldsets=[
                *[
                    (
                        str(title),
                        {"fields": [(field, pin_of(field)) if field in PINNABLE else field for field in rows]},
                    )
                    for _, title, _, rows in policies.GROUPS
                ],
                CONFIRM,
            ],
            submit="Save policies",
        )

    @confirmed
    def add_member_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        account = get_object_or_404(Account, pk=object_id)
        form = AddMemberForm(
            request.POST or None,
            user=staff_user(request),
            account=account,
            initial={"access_level": AccessLevel.VIEWER.value},
        )
        if request.method == "POST" and form.is_valid():

            def add(actor: Actor) -> str:
                row = members.add(account, form.cleaned_data["person"], form.place, actor=actor)
                return f"{row.user} is a member of {account}."

            if self.act_once(request, form, add):
                return account_page(account)
        return self.render_page(
            request,
            account,
            form,
            title="Add a member",
            intro="They are in at once, without an invitation. The account’s owners are told by mail.",
            fieldsets=[(None, {"fields": ["person"]}), ("What they may do", {"fields": PLACE}), CONFIRM],
            submit="Add the member",
        )

    @confirmed
    def change_member_view(self, request: HttpRequest, object_id: UUID, member_id: int) -> HttpResponse:
        membership = _member(object_id, member_id)
        form = ChangeMemberForm(request.POST or None, user=staff_user(request), membership=membership)
        if request.method == "POST" and form.is_valid():

            def change(actor: Actor) -> str:
                members.change(membership, form.place, actor=actor)
                return f"What {membership.user} may do in {membership.account} is saved."

            if self.act_once(request, form, change):
                return account_page(membership.account)
        return self.render_page(
            request,
            membership.account,
            form,
            title=f"Change what {membership.user} may do",
            intro="It holds from their next click on. The account’s owners are told by mail.",
            fieldsets=[(None, {"fields": PLACE}), CONFIRM],
            submit="Save",
        )

    @confirmed
    def remove_member_view(self, request: HttpRequest, object_id: UUID, member_id: int) -> HttpResponse:
        membership = _member(object_id, member_id)
        if reason := members.why_last_owner(membership):
            messages.error(request, reason)
            return account_page(membership.account)
        form = RemoveMemberForm(request.POST or None, user=staff_user(request))
        if request.method == "POST" and form.is_valid():

            def remove(actor: Actor) -> str:
                members.remove(membership, actor=actor)
                return f"{membership.user} is no longer a member of {membership.account}."

            if self.act_once(request, form, remove):
                return account_page(membership.account)
        return self.render_page(
            request,
            membership.account,
            form,
            title=f"Remove {membership.user}?",
            intro="They are out at their next click. API keys that they created stay the account’s and go on working. "
            "They and the account’s owners are told by mail.",
            fieldsets=[(None, {"fields": ["code"]})],
            submit="Remove",
            danger=True,
        )

    def act_once(self, request: HttpRequest, form: Any, act: Any) -> bool:
        """Do what ``form`` confirmed, once, and say so; False where the rules refuse it, which the form then shows."""
        if form.already_confirmed:
            return True
        try:
            messages.success(request, act(staff_actor(request, form)))
        except Refused as refused:
            form.renew()
            form.refuse(refused)
            return False
        return True

    def render_page(self, request: HttpRequest, account: Account, form: forms.Form, **page: Any) -> HttpResponse:
        """A page of ``account``'s own, one step below its page."""
        url = reverse("admin:accounts_account_change", args=[account.pk])
        return render_form(self, request, form, subtitle=account.name, parent=(account.name, url), **page)


def _policy_row(account: Account, policy: Policy) -> dict[str, Any]:
    pinned = policy.field in account.pinned_policies
    value = policy.in_words(getattr(account, policy.field))
    return {"label": policy.label, "value": value, "pinned": pinned, "of_plan": policy.of_plan}


def account_page(account: Account) -> HttpResponse:
    return redirect("admin:accounts_account_change", account.pk)


def _member(account_id: UUID, member_id: int) -> Membership:
    rows = Membership.objects.select_related("account", "user")
    return get_object_or_404(rows, pk=member_id, account=account_id)
