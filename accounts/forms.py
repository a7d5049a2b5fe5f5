"""Forms of the sign-in and second-factor pages, and the step-up that any form can carry."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.http import HttpRequest, QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import second_factor, step_up
from accounts.changes import Refused
from accounts.models import User
from accounts.passkeys import CREDENTIAL_LENGTH, NAME_LENGTH, passkeys_of


class CodeField(forms.CharField):
    """The one second-factor field: six digits from the app, or a recovery code."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", gettext_lazy("Code from your authenticator app"))
        kwargs.setdefault("max_length", 40)
        kwargs.setdefault("error_messages", {"required": gettext_lazy("Type the code that your app shows now.")})
        kwargs.setdefault(
            "widget",
            forms.TextInput(
                attrs={
                    "autocomplete": "one-time-code",
                    "autocapitalize": "none",
                    "spellcheck": "false",
                }
            ),
        )
        super().__init__(**kwargs)


class PasswordField(forms.CharField):
    """A password, as it is typed: a space at its ends is part of it."""

    def __init__(self, *, autocomplete: str, **kwargs: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
        super().__init__(strip=False, max_length=1000, widget=widget, **kwargs)


class NameField(forms.CharField):
    """A name on one line; what does not print is refused."""

    default_error_messages = {"unprintable": gettext_lazy("Use printable characters only.")}

    def clean(self, value: Any) -> str:
        name = " ".join(super().clean(value).split())
        if not name.isprintable():
            raise forms.ValidationError(self.error_messages["unprintable"], code="unprintable")
        return name


class EmailForm(forms.Form):
    """Somebody who is not signed in says who they are."""

    email = forms.EmailField(
        label=gettext_lazy("Email"),
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
        error_messages={"required": gettext_lazy("Type your e-mail address.")},
    )


class SignInForm(EmailForm):
    password = PasswordField(
        label=gettext_lazy("Password"),
        autocomplete="current-password",
        error_messages={"required": gettext_lazy("Type your password.")},
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: User | None = None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            user = authenticate(self.request, username=data["email"].lower(), password=data["password"])
            if not isinstance(user, User):
                # One sentence for a wrong address, a wrong password and a person who was switched off.
                raise forms.ValidationError(_("That e-mail address and password do not fit together."))
            self.user = user
        return data


class ProvesSecondFactor(forms.Form):
    """What `partials/_code_field.html` asks of a form: which factors its person has, and what they would confirm."""

    step_up_action = ""
    user: User

    @cached_property
    def offers_passkeys(self) -> bool:
        return passkeys_of(self.user).exists()

    @cached_property
    def has_app(self) -> bool:
        return second_factor.confirmed_app(self.user) is not None


class CodeForm(ProvesSecondFactor):
    """The second step of sign-in. The code, or the passkey's grant, is spent by is_valid()."""

    nonce = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    code = CodeField()

    def __init__(self, *args: Any, user: User, action: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.step_up_action = action
        self.device: Any = None
        self.fields["nonce"].initial = step_up.new_nonce()
        self.fields["code"].widget.attrs["autofocus"] = True

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        try:
            if code == step_up.PASSKEY:
                nonce = self.cleaned_data.get("nonce", "")
                self.device = step_up.spend_grant(self.user, action=self.step_up_action, nonce=nonce)
            else:
                self.device = second_factor.verify(self.user, code, action=self.step_up_action)
        except second_factor.AlreadyConfirmed:
            raise forms.ValidationError(_("That was used already. Use the passkey again, or type a code.")) from None
        except second_factor.CodeRefused as refused:
            raise forms.ValidationError(str(refused)) from None
        return ""


class StepUpForm(ProvesSecondFactor):
    """A form whose one action needs a fresh second factor: subclasses name it in ``step_up_action``.

    The code is checked last, when nothing else is wrong, so that a typo elsewhere doesn't burn it. Afterwards
    ``proof`` holds the step-up; ``already_confirmed`` tells a repeated POST of a form that was confirmed before.
    A passkey's grant counts as well as a code: the field then says `step_up.PASSKEY`.
    """

    #: clean() may find that what the form holds needs no code after all.
    needs_step_up = True

    nonce = forms.CharField(
        max_length=64,
        widget=forms.HiddenInput,
        error_messages={"required": gettext_lazy("This page is out of date. Load it again.")},
    )
    code = CodeField()

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.proof: step_up.StepUp | None = None
        self.already_confirmed = False
        self.fields["nonce"].initial = step_up.new_nonce()
        self.order_fields([name for name in self.fields if name not in ("nonce", "code")] + ["nonce", "code"])

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound or self.errors or not self.needs_step_up:
            return
        try:
            self.proof = step_up.confirm(
                self.user,
                self.cleaned_data["code"],
                action=self.step_up_action,
                nonce=self.cleaned_data["nonce"],
            )
        except second_factor.AlreadyConfirmed:
            self.already_confirmed = True
        except second_factor.CodeRefused as refused:
            self.add_error("code", str(refused))

    def refuse(self, refused: Refused) -> None:
        """Show what the rules say beside the field that can mend it."""
        self.add_error(refused.field if refused.field in self.fields else None, str(refused))

    def renew(self) -> None:
        """After a confirmed action was refused by the rules: the next try is a new one, with a new code."""
        self.show_again(nonce=step_up.new_nonce(), code="")

    def show_again(self, **values: str) -> None:
        """Let the form be shown with other ``values`` than were sent."""
        data = cast(QueryDict, self.data).copy()
        for name, value in values.items():
            data[self.add_prefix(name)] = value
        self.data = data


class LostDeviceForm(forms.Form):
    """A recovery code in place of a lost device. The code is spent by is_valid()."""

    action = "second_factor.recover"

    code = CodeField(
        label=gettext_lazy("Recovery code"),
        error_messages={"required": gettext_lazy("Type one of your recovery codes.")},
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.device: Any = None

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if not second_factor.is_recovery_code(code):
            raise forms.ValidationError(_("A recovery code has sixteen letters and digits: abcd-2345-efgh-6789."))
        try:
            self.device = second_factor.verify(self.user, code, action=self.action)
        except second_factor.CodeRefused as refused:
            raise forms.ValidationError(str(refused)) from None
        return ""


class NewPasswordFields(forms.Form):
    """A new password, typed twice and held against the rules for passwords."""

    user: User

    new_password = PasswordField(
        label=gettext_lazy("New password"),
        autocomplete="new-password",
        help_text=gettext_lazy("At least twelve characters. A few words in a row are easy to remember."),
        error_messages={"required": gettext_lazy("Type a new password.")},
    )
    new_password_again = PasswordField(
        label=gettext_lazy("New password, again"),
        autocomplete="new-password",
        error_messages={"required": gettext_lazy("Type the new password again.")},
    )

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        validate_password(password, self.user)
        return password

    def clean_new_password_again(self) -> str:
        again: str = self.cleaned_data["new_password_again"]
        if "new_password" in self.cleaned_data and again != self.cleaned_data["new_password"]:
            raise forms.ValidationError(_("The two new passwords are not the same."))
        return again


class ChangePasswordForm(NewPasswordFields, StepUpForm):
    step_up_action = "password.change"

    current_password = PasswordField(
        label=gettext_lazy("Current password"),
        autocomplete="current-password",
        error_messages={"required": gettext_lazy("Type your current password.")},
    )
    field_order = ["current_password", "new_password", "new_password_again", "nonce", "code"]

    def __init__(self, *args: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        self.order_fields(self.field_order)
        self.request = request

    def clean(self) -> dict[str, Any]:
        """Check the current password last: through authenticate(), so that guesses count as they do at sign-in."""
        data = super().clean() or {}
        if self.errors:
            return data
        if authenticate(self.request, username=self.user.email, password=data["current_password"]) != self.user:
            self.add_error("current_password", _("That is not your current password."))
        elif data["new_password"] == data["current_password"]:
            self.add_error("new_password", _("That is the password that you have now. Choose another."))
        return data


class ForgottenPasswordForm(EmailForm):
    """The first step of a reset."""


class NewPasswordForm(NewPasswordFields):
    """The last step of a reset."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user


class EnrolForm(forms.Form):
    code = CodeField(label=gettext_lazy("Code from the app"), max_length=10)


class PasskeyNameForm(forms.Form):
    name = NameField(
        label=gettext_lazy("Name"),
        max_length=NAME_LENGTH,
        help_text=gettext_lazy("So that you know it again: “MacBook”, “Phone”, “Key at the office”."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": gettext_lazy("Give the passkey a name.")},
    )


class PasskeyCreateForm(PasskeyNameForm):
    """The credential is what the browser made: JSON that the page's script puts in."""

    credential = forms.CharField(max_length=CREDENTIAL_LENGTH, required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and not data["credential"]:
            raise forms.ValidationError(_("Your browser made no passkey. Try again."))
        return data


class AddPasskeyForm(StepUpForm):
    step_up_action = "passkey.add"


class RemovePasskeyForm(StepUpForm):
    step_up_action = "passkey.remove"


class RemoveAppForm(StepUpForm):
    step_up_action = "second_factor.remove"


class RegenerateCodesForm(StepUpForm):
    step_up_action = "recovery_codes.make"


class ReplaceAppForm(StepUpForm):
    step_up_action = "second_factor.replace"
