"""The table of row kinds as text, for the command's help and docs/import.md."""

from __future__ import annotations

import textwrap

from entities.ingest.columns import Column
from entities.ingest.kinds import ROW_KINDS, RowKind


def as_markdown(kind: RowKind) -> str:
    """The columns of a kind as a Markdown table."""
    lines = ["| column | required | type | meaning |", "|---|---|---|---|"]
    for column in kind.columns:
        required = _required(kind, column)
        lines.append(f"| `{column.name}` | {required} | {column.type.words} | {column.meaning} |")
    return "\n".join(lines)


def as_help() -> str:
    """All kinds, for a terminal."""
    blocks = []
    for kind in ROW_KINDS.values():
        lines = [f"{kind.name}.csv, {kind.name}.ndjson"]
        for column in kind.columns:
            required = _required(kind, column)
            about = f"{column.type.words}; {column.meaning}".replace("`", "")
            said = f"{about} ({'required' if required == 'yes' else required})" if required else about
            first, *rest = textwrap.wrap(said, 76)
            lines += [f"  {column.name:<15} {first}", *(" " * 18 + line for line in rest)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _required(kind: RowKind, column: Column) -> str:
    if column.name in kind.one_of:
        return "one of them"
    return "yes" if column.required else ""
