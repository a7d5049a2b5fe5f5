"""Import a directory of the pool's data. See docs/import.md."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, BinaryIO, TextIO

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from accounts.audit import Actor
from accounts.environments import Environment
from accounts.management.base import ExplainedCommand
from entities.ingest import describe
from entities.ingest.batches import RowError
from entities.ingest.importing import Counts, dry_run, import_rows
from entities.ingest.kinds import ROW_KINDS, RowKind
from entities.ingest.reading import READERS, Unreadable

SOME_REFUSED, NOTHING_READ, INTERRUPTED = 1, 2, 130
MAX_ERRORS = 100

_ABOUT = """\
Import the pool's data from the files of a directory: miners.csv or miners.ndjson, and so on.

Rows are found again by their names or IDs, so a second run of the same files changes nothing. A row that can't be
taken is reported with its file, line and column, and stops no other. Accounts are never made.
"""
_EPILOG = f"""\
Example:

  manage.py import_pool_data docs/sample-pool-data --dry-run
  manage.py import_pool_data /srv/export --environment staging --only miners workers

Exit codes:

  0    every row was taken
  1    some rows or files were refused: standard error says which
  2    nothing could be read: no such directory, none of these files in it, no usable header
  130  interrupted (Ctrl-C, the database or whoever read the output went away): the batches before that stay imported

Files, in the order of their import. CSV: UTF-8, separated by commas, the first line names the columns, one row a line.
NDJSON: UTF-8, one JSON object a line. An empty value says nothing: it changes nothing that is stored.

{describe.as_help()}
"""


class Command(ExplainedCommand):
    help = _ABOUT
    epilog = _EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", metavar="DIR", type=Path, help="where the files are")
        parser.add_argument(
            "--environment",
            choices=Environment.values,
            default=Environment.PRODUCTION.value,
            help="where the rows go (default: production)",
        )
        parser.add_argument(
            "--only", nargs="+", action="extend", choices=list(ROW_KINDS), metavar="KIND", help="import these alone"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="do all of it in one transaction and take it back; other writers of the same rows wait meanwhile, "
            "on SQLite all writers",
        )
        parser.add_argument(
            "--max-errors",
            type=_natural,
            default=MAX_ERRORS,
            metavar="N",
            help=f"print the first N errors of each file and count the others (default: {MAX_ERRORS})",
        )
        parser.add_argument("--quiet", action="store_true", help="print errors and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        run = _Run(self, **{name: options[name] for name in ("environment", "dry_run", "max_errors", "quiet")})
        files = run.list_files(options["directory"], options["only"] or list(ROW_KINDS))
        try:
            with dry_run() if options["dry_run"] else nullcontext():
                run.import_files(files)
            run.summarize()
        except (KeyboardInterrupt, BrokenPipeError, DatabaseError, InterfaceError) as error:
            _mute_if_gone(sys.stdout)
            _mute_if_gone(sys.stderr, "\n")  # nothing of it waits in a buffer
            reason = str(error).strip().partition("\n")[0]
            why = f": {reason}" if isinstance(error, DatabaseError | InterfaceError) else ""
            so_far = "nothing, for this was a dry run" if options["dry_run"] else run.in_words()
            raise CommandError(f"Interrupted{why}.\nImported so far: {so_far}.", returncode=INTERRUPTED) from None
        run.conclude()


class _Run:
    """One run over several files: what became of each, and what is said about it."""

    def __init__(self, command: Command, *, environment: str, dry_run: bool, max_errors: int, quiet: bool) -> None:
        self.stdout, self.stderr = command.stdout, command.stderr
        self.environment, self.dry_run, self.max_errors, self.quiet = environment, dry_run, max_errors, quiet
        self.counts: dict[str, Counts] = {}
        self.unreadable = 0

    def list_files(self, directory: Path, kinds: list[str]) -> list[tuple[RowKind, Path]]:
        """The files to import, in order. Raises CommandError where there are none."""
        try:
            present = sorted(path for path in directory.iterdir() if path.suffix[1:] in READERS)
        except OSError as error:
            raise CommandError(f"{directory} can't be read: {error.strerror}.", returncode=NOTHING_READ) from None
        for path in present:
            if path.stem not in ROW_KINDS:
                self.stderr.write(f"{path.name}: not read, for there is no kind of that name.")
        files = [
            (ROW_KINDS[kind], path) for kind in ROW_KINDS if kind in kinds for path in present if path.stem == kind
        ]
        if not files:
            wanted = ", ".join(f"{kind}.csv" for kind in kinds)
            raise CommandError(f"{directory} has none of these: {wanted}, or .ndjson.", returncode=NOTHING_READ)
        return files

    def import_files(self, files: list[tuple[RowKind, Path]]) -> None:
        for kind, path in files:
            try:
                with path.open("rb") as source:
                    self.import_file(kind, path, source)
            except Unreadable as error:
                self.fail(f"{path.name}:{error.line}: {error}")
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                self.fail(f"{path.name}: {error.strerror}.")

    def import_file(self, kind: RowKind, path: Path, source: BinaryIO) -> None:
        counts = Counts()
        progress = _Progress(self, path.name, os.fstat(source.fileno()).st_size, source)
        printed = 0

        def report(error: RowError) -> None:
            nonlocal printed
            printed += 1
            if printed <= self.max_errors:
                progress.clear()
                column = f"column {error.column} " if error.column else "the row "
                self.stderr.write(f"{path.name}:{error.row}: {column}{error.message}")

        try:
            import_rows(
                kind,
                READERS[path.suffix[1:]](source, kind),
                environment=self.environment,
                actor=Actor.for_command("import_pool_data"),
                source=path.name,
                counts=counts,
                on_error=report,
                after_batch=lambda: progress.show(counts),
                during_batch=_put_off_interrupts,
            )
            self.counts[path.name] = counts
        finally:
            progress.clear()
            if counts.received:
                self.counts[path.name] = counts
            if printed > self.max_errors:
                self.stderr.write(f"{path.name}: {printed - self.max_errors:,} more errors.")
        progress.finish(counts)

    def fail(self, message: str) -> None:
        self.unreadable += 1
        self.stderr.write(message)

    def summarize(self) -> None:
        if self.quiet or not self.counts:
            return
        head = ["file", *vars(Counts())]
        rows = [[name, *(f"{number:,}" for number in vars(counts).values())] for name, counts in self.counts.items()]
        widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
        for line in [head, *rows]:
            name, *numbers = line
            cells = [
                name.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)),
            ]
            self.stdout.write("  ".join(cells))
        if self.dry_run:
            self.stdout.write("This was a dry run: nothing was changed.")
        self.stdout.flush()

    def conclude(self) -> None:
        """Raise CommandError with the exit code, unless all is well."""
        refused = sum(counts.refused for counts in self.counts.values())
        if self.unreadable and not self.counts:
            raise CommandError("Nothing could be read.", returncode=NOTHING_READ)
        if self.unreadable or refused:
            files = f" and {self.unreadable} whole file{'s' * (self.unreadable > 1)}" if self.unreadable else ""
            raise CommandError(f"Refused: {refused:,} rows{files}. All others were taken.", returncode=SOME_REFUSED)

    def in_words(self) -> str:
        parts = [
            f"{name}: {counts.received:,} rows read, {counts.created:,} created, {counts.updated:,} updated"
            for name, counts in self.counts.items()
        ]
        return "; ".join(parts) or "nothing"


class _Progress:
    """How far a file is: one line that changes on a terminal, and elsewhere one when the file is done."""

    def __init__(self, run: _Run, name: str, size: int, source: BinaryIO) -> None:
        self.err, self.name, self.size, self.source = run.stderr, name, size, source
        self.quiet = run.quiet
        self.on_terminal = not run.quiet and run.stderr.isatty()
        self.started = time.monotonic()
        self.shown = False

    def show(self, counts: Counts) -> None:
        if self.on_terminal:
            part = f"{self.source.tell() / self.size:4.0%}" if self.size else ""
            self._write(f"\r{self.name}  {part}  {self._rate(counts)}\x1b[K")
            self.shown = True

    def clear(self) -> None:
        if self.shown:
            self._write("\r\x1b[K")
            self.shown = False

    def finish(self, counts: Counts) -> None:
        if not self.quiet:
            self._write(f"{self.name}: {self._rate(counts)}\n")

    def _rate(self, counts: Counts) -> str:
        return f"{counts.received:,} rows, {counts.received / max(time.monotonic() - self.started, 1e-3):,.0f} rows/s"

    def _write(self, text: str) -> None:
        self.err.write(text, style_func=str, ending="")
        self.err.flush()


@contextmanager
def _put_off_interrupts() -> Iterator[None]:
    """Let the first Ctrl-C wait for the end of the block, so that what was committed is counted; a second does not."""
    if current_thread() is not main_thread():  # only there are signals handled
        yield
        return
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _mute_if_gone(stream: TextIO, probe: str = "") -> None:
    """Let a stream whose reader went away end in nothing: else the process fails at its end, with another code."""
    try:
        stream.write(probe)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ArgumentTypeError("give a whole number, 0 or more")
    return int(text)
