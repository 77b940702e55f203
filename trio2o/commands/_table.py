"""Tables as commands print them."""

import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table


def show(heads: Sequence[str], rows: Iterable[Sequence[str] | Mapping[str, str]]) -> None:
    """A table as wide as the terminal; whole lines where a program or a file reads it. A row may
    be an object that has the heads as members."""
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(row[head] for head in heads) if isinstance(row, Mapping) else row)
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    console.print(table)
