"""Forms of the owner's key pages that belong to no single key: those of keys stand in modules of their own."""

from __future__ import annotations

from accounts.forms import StepUpForm
from apikeys import signing


class SetUpForm(StepUpForm):
    step_up_action = signing.BOOTSTRAP
