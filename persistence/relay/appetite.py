"""How many rows to read at once, so that a read stays near a bound of bytes whatever the rows weigh. Pure."""

from typing import Final

READ_BYTES: Final = 8 * 1024 * 1024
_FIRST_ROWS: Final = 64
_FEWEST_ROWS: Final = 8


class Appetite:
    """Doubles while reads are light, halves when one was too heavy; never more than ``most`` rows."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.rows = min(most, _FIRST_ROWS)

    def fed(self, read_bytes: int) -> None:
        """Take the bytes of a read of ``rows`` into account."""
        if read_bytes > READ_BYTES:
            self.rows = max(_FEWEST_ROWS, self.rows // 2)
        elif read_bytes < READ_BYTES // 4:
            self.rows = min(self._most, self.rows * 2)
