"""What management commands have in common that explain themselves at length."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter


class _Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    pass


class ExplainedCommand(BaseCommand):
    """Its ``--help`` shows ``help`` above the options and ``epilog`` below them, line by line as they are written."""

    epilog = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=_Formatter, epilog=self.epilog, **kwargs)
