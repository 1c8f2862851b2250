"""How commands print: JSON for programs, tables for people, plain lines where nobody is watching."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def print_json(value: object) -> None:
    """One JSON document on stdout. Dataclasses become objects, unknown values null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


GAP = "  "
"""Between columns."""


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, essential: Sequence[str] = ()
) -> bool:
    """Aligned columns; a ruled table on a terminal. False: only the `essential` columns had room."""
    if sys.stdout.isatty():
        return _print_fitting(columns, rows, essential=essential)
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        line = GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
    return True


def _print_fitting(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, essential: Sequence[str]
) -> bool:
    widths = (max(map(len, column)) for column in zip(columns, *rows, strict=True))
    needed = sum(widths) + len(GAP) * (len(columns) - 1)
    has_room = not essential or needed <= shutil.get_terminal_size().columns
    kept = [at for at, name in enumerate(columns) if has_room or name in essential]
    _print_ruled([columns[at] for at in kept], [[row[at] for at in kept] for row in rows])
    return has_room


def _print_ruled(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # As narrow as it gets: two blanks between columns, none around.
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for column in columns:  # a name that is cut cannot be looked for
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _plain(value: object) -> Any:  # noqa: ANN401  what json.dumps takes
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def age_text(seconds: float) -> str:
    """How long ago, for people: 12 s, 3 min, 2 h, 5 d."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
