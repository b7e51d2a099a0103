"""What every command's exit code means. Also told by README and ``headrace --help``."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
"""The command could not do what was asked; one or two lines on standard error say why and how to mend it."""
WRONG_USAGE: Final = 2
NOT_RUNNING: Final = 3
"""``status`` only."""
NOT_SUCCEEDED: Final = 4
"""The command did its part, but a job it waited for ended as failed, cancelled or expired, or has no output;
or ``validate`` refused the answer."""
