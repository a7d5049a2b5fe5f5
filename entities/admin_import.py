"""Importing the pool's data in the staff admin, by the code of `manage.py import_pool_data`: dry run, then import.

The file isn't kept in between: it is chosen again, and what the dry run read is known by its digest.
"""

from __future__ import annotations

from contextlib import nullcontext
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from django import forms
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse

from accounts.admin_pages import AdminStepUpForm, confirmed, render_form, staff_user
from accounts.admin_site import StaffModelAdmin
from accounts.audit import Actor
from accounts.environments import Environment
from entities.ingest.batches import RowError
from entities.ingest.importing import Counts, dry_run, import_rows
from entities.ingest.kinds import ROW_KINDS
from entities.ingest.reading import READERS, Unreadable

STEP_UP = "pool_data.import"
#: A minute's work at most; larger files are the command's.
MAX_BYTES = 10 * 1024 * 1024
MAX_ERRORS = 50
#: How long a dry run may be followed by its import, in seconds.
DRY_RUN_LASTS = 3600
_SALT = "entities.admin_import"


class DryRunForm(forms.Form):
    is_dry_run = True

    file = forms.FileField(
        label="File",
        help_text=f"CSV or NDJSON in UTF-8, at most {MAX_BYTES // 1024**2} MiB; larger: manage.py import_pool_data.",
        widget=forms.FileInput({"accept": ",".join(f".{name}" for name in READERS)}),
        error_messages={"required": "Choose a file.", "empty": "This file is empty."},
    )
    kind = forms.ChoiceField(
        label="What it holds",
        required=False,
        choices=[("", "What the file is named after"), *((name, name.capitalize()) for name in ROW_KINDS)],
        help_text="A file is named after its kind, miners.csv or miners.ndjson; choose if yours is not.",
    )
    environment = forms.ChoiceField(choices=Environment.choices, initial=Environment.PRODUCTION)

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if file.size is None or file.size > MAX_BYTES:
            raise forms.ValidationError(
                f"This file is larger than {MAX_BYTES // 1024**2} MiB. Import it with manage.py import_pool_data."
            )
        if _suffix(file) not in READERS:
            raise forms.ValidationError("Choose a file whose name ends in .csv or .ndjson.")
        return file

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("file") and data.get("kind") == "":
            stem = PurePath(data["file"].name or "").stem
            if stem in ROW_KINDS:
                data["kind"] = stem
            elif "kind" not in self.errors:
                self.add_error("kind", "The file’s name doesn’t say what it holds. Choose it here.")
        return data

    @property
    def what(self) -> list[str]:
        """What the form is about: kind, environment, and the digest of the file."""
        file: UploadedFile = self.cleaned_data["file"]
        digest = sha256()
        for chunk in file.chunks():
            digest.update(chunk)
        file.seek(0)
        return [self.cleaned_data["kind"], self.cleaned_data["environment"], digest.hexdigest()]

    def run(self, actor: Actor) -> Report:
        """Import the file, or see what that would do. Raises reading.Unreadable."""
        file: Any = self.cleaned_data["file"]
        kind = ROW_KINDS[self.cleaned_data["kind"]]
        report = Report()
        import_rows(
            kind,
            READERS[_suffix(file)](file, kind),
            environment=self.cleaned_data["environment"],
            actor=actor,
            source=file.name[:200],
            counts=report.counts,
            on_error=report.add,
            # Batch by batch: the accounts in the file are held no longer than by the import itself.
            during_batch=dry_run if self.is_dry_run else nullcontext,
            recorded=not self.is_dry_run,
        )
        return report


class ImportForm(DryRunForm, AdminStepUpForm):
    """The same file, kind and environment as in the dry run, and a code."""

    is_dry_run = False
    step_up_action = STEP_UP

    kind = forms.ChoiceField(choices=[(name, name) for name in ROW_KINDS], widget=forms.HiddenInput)
    environment = forms.ChoiceField(choices=Environment.choices, widget=forms.HiddenInput)
    checked = forms.CharField(required=False, max_length=500, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            try:
                checked = signing.loads(data["checked"], salt=_SALT, max_age=DRY_RUN_LASTS)
            except signing.BadSignature:
                raise forms.ValidationError("The dry run is too long ago. Make it again.") from None
            if checked != [self.user.pk, *self.what]:
                raise forms.ValidationError(
                    "This is not what the dry run read. Choose the same file, or make a dry run of this one."
                )
        return data


class Report:
    """What became of a file's rows, and the first of the errors."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.errors: list[RowError] = []
        self.unshown = 0

    def add(self, error: RowError) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)
        else:
            self.unshown += 1


class ImportPage(StaffModelAdmin):
    """A page of the section of all entities."""

    @confirmed
    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Step 1 reads a file and writes nothing; step 2 takes the same file and a code."""
        if request.method != "POST":
            return self._ask(request, DryRunForm())
        if "checked" in request.POST:
            return self._import(request)
        form = DryRunForm(request.POST, request.FILES)
        if form.is_valid():
            report = self._run(request, form)
            if report is not None and not (report.counts.created or report.counts.updated):
                # Nobody spends a code on an import of nothing.
                chosen = {field: form.cleaned_data[field] for field in ("kind", "environment")}
                name = form.cleaned_data["file"].name
                return self._ask(request, DryRunForm(initial=chosen), report=report, name=name, done=False)
            if report is not None:
                what = form.what
                confirming = ImportForm(
                    user=staff_user(request),
                    initial={
                        "kind": what[0],
                        "environment": what[1],
                        "checked": signing.dumps([request.user.pk, *what], salt=_SALT),
                    },
                )
                return self._confirm(request, confirming, report=report, name=form.cleaned_data["file"].name)
        return self._ask(request, form)

    def _import(self, request: HttpRequest) -> HttpResponse:
        form = ImportForm(request.POST, request.FILES, user=staff_user(request))
        if not form.is_valid():
            return self._confirm(request, form)
        if form.already_confirmed:
            form.add_error(None, "This form was sent before, and its import was made then. The audit trail has it.")
            return self._confirm(request, form)
        report = self._run(request, form)
        if report is None:
            form.renew()
            return self._confirm(request, form)
        return self._ask(request, DryRunForm(), report=report, name=form.cleaned_data["file"].name)

    def _run(self, request: HttpRequest, form: DryRunForm) -> Report | None:
        actor = Actor.from_request(request, via="admin", proof=getattr(form, "proof", None))
        if isinstance(form, ImportForm):
            actor.require_step_up(STEP_UP)
        try:
            return form.run(actor)
        except Unreadable as error:
            form.add_error("file", f"Line {error.line}: {error}")
        return None

    def _ask(
        self,
        request: HttpRequest,
        form: DryRunForm,
        *,
        report: Report | None = None,
        name: str | None = None,
        done: bool = True,
    ) -> HttpResponse:
        return self._render(
            request,
            form,
            title="Import pool data",
            intro="Step 1 of 2, a dry run: it reads the whole file, says what would become of each row, and changes "
            "nothing. docs/import.md says which columns there are.",
            fieldsets=[(None, {"fields": ["file", "kind", "environment"]})],
            submit="Dry run",
            report=report,
            name=name,
            done=done,
        )

    def _confirm(
        self, request: HttpRequest, form: ImportForm, *, report: Report | None = None, name: str | None = None
    ) -> HttpResponse:
        return self._render(
            request,
            form,
            title="Import pool data",
            intro="Step 2 of 2, the import. Choose the same file again: it was not kept.",
            fieldsets=[(None, {"fields": ["file"]}), ("Confirm", {"fields": ["code"]})],
            submit="Import",
            report=report,
            name=name,
            done=False,
        )

    def _render(self, request: HttpRequest, form: forms.Form, **page: Any) -> HttpResponse:
        return render_form(self, request, form, template="admin/entities/import.html", **page)


def _suffix(file: UploadedFile) -> str:
    return PurePath(file.name or "").suffix[1:].lower()
