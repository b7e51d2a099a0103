"""Rows that Kafka may refuse: suspects are sent alone, the condemned become dead letters, neighbours proceed.

Kept in memory by revision: after a restart the same refusals lead to the same verdicts.
"""

from collections.abc import Iterable, Sequence

from persistence.postgres.outbox import OutboxRow


class Quarantine:
    """The suspects and the condemned of one path."""

    def __init__(self) -> None:
        self._suspects: set[int] = set()
        self._condemned: dict[int, str] = {}

    def refuse(self, revs: Sequence[int], reason: str) -> None:
        """A batch was refused: one row alone is condemned, several are suspects."""
        if len(revs) == 1:
            self._suspects.discard(revs[0])
            self._condemned[revs[0]] = reason
        else:
            self._suspects.update(revs)

    def clear(self, revs: Iterable[int]) -> None:
        """These rows went out, or are gone."""
        for rev in revs:
            self._suspects.discard(rev)
            self._condemned.pop(rev, None)

    def condemned(self, row: OutboxRow) -> str | None:
        """Return why a row is to be set aside, if it is."""
        return self._condemned.get(row.rev)

    def batches(self, rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
        """Return the rows in their order as batches in which each suspect is alone."""
        if not self._suspects:
            return [list(rows)] if rows else []
        batches: list[list[OutboxRow]] = []
        joinable = False
        for row in rows:
            if row.rev in self._suspects:
                batches.append([row])
                joinable = False
            elif joinable:
                batches[-1].append(row)
            else:
                batches.append([row])
                joinable = True
        return batches
