"""Forms whose page follows what is typed, before anything of it is judged."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.utils import ErrorDict

PREVIEW = "preview"


class PreviewedForm(forms.Form):
    """With ``preview`` the form shows what was typed and judges nothing, with and without JavaScript."""

    def __init__(self, *args: Any, preview: bool = False, **kwargs: Any) -> None:
        self.preview = preview
        super().__init__(*args, **kwargs)

    def full_clean(self) -> None:
        if self.preview:
            self._errors = ErrorDict()
            self.cleaned_data = {}
            return
        super().full_clean()
