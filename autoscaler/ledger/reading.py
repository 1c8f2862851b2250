"""Records of a ledger file for people and pages; never writes, may run while a writer lives.

In: a path. Out: `LedgerRecord`s, oldest first. Used by the command line and the page.
"""

from pathlib import Path

from autoscaler.ledger.chain import LedgerRecord
from autoscaler.ledger.database import iter_records, opened_for_reading


def read_records(
    path: Path, *, last: int | None = None, kind: str | None = None
) -> tuple[LedgerRecord, ...]:
    """The newest `last` records (all when None) of one kind (any when None), oldest first.

    Raises LedgerError when there is no such file or it is no ledger. Does not check the chain.
    """
    condition = "" if kind is None else "WHERE kind = ? "
    limit = "" if last is None else "LIMIT ?"
    values = (*(() if kind is None else (kind,)), *(() if last is None else (last,)))
    with opened_for_reading(path) as connection:
        newest_first = tuple(
            iter_records(connection, tail=f"{condition}ORDER BY seq DESC {limit}", values=values)
        )
    return newest_first[::-1]
