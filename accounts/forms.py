"""Forms of the sign-in and second-factor pages, and the step-up that any form can carry."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth import authenticate
from django.http import HttpRequest, QueryDict

from accounts import second_factor, step_up
from accounts.models import User


class CodeField(forms.CharField):
    """The one second-factor field: six digits from the app, or a recovery code."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", "Code from your authenticator app")
        kwargs.setdefault("max_length", 40)
        kwargs.setdefault("error_messages", {"required": "Type the code that your app shows now."})
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


class SignInForm(forms.Form):
    email = forms.EmailField(
        label="Email",
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
        error_messages={"required": "Type your e-mail address."},
    )
    password = forms.CharField(
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Type your password."},
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: User | None = None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            user = authenticate(self.request, username=data["email"], password=data["password"])
            if not isinstance(user, User):
                # One sentence for a wrong address, a wrong password and a person who was switched off.
                raise forms.ValidationError("That e-mail address and password do not fit together.")
            self.user = user
        return data


class CodeForm(forms.Form):
    """The second step of sign-in. The code is spent by is_valid()."""

    code = CodeField()

    def __init__(self, *args: Any, user: User, action: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.action = action
        self.device: Any = None
        self.fields["code"].widget.attrs["autofocus"] = True

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        try:
            self.device = second_factor.verify(self.user, code, action=self.action)
        except second_factor.CodeRefused as refused:
            raise forms.ValidationError(str(refused)) from None
        return ""


class StepUpForm(forms.Form):
    """A form whose one action needs a fresh second factor: subclasses name it in ``step_up_action``.

    The code is checked last, when nothing else is wrong, so that a typo elsewhere doesn't burn it. Afterwards
    ``proof`` holds the step-up; ``already_confirmed`` tells a repeated POST of a form that was confirmed before.
    """

    step_up_action = ""

    nonce = forms.CharField(
        max_length=64,
        widget=forms.HiddenInput,
        error_messages={"required": "This page is out of date. Load it again."},
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
        if not self.is_bound or self.errors:
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

    def renew(self) -> None:
        """After a confirmed action was refused by the rules: the next try is a new one, with a new code."""
        data = cast(QueryDict, self.data).copy()
        data[self.add_prefix("nonce")] = step_up.new_nonce()
        data[self.add_prefix("code")] = ""
        self.data = data


class EnrolForm(forms.Form):
    code = CodeField(label="Code from the app", max_length=10)


class RegenerateCodesForm(StepUpForm):
    step_up_action = "recovery_codes.make"


class ReplaceAppForm(StepUpForm):
    step_up_action = "second_factor.replace"
