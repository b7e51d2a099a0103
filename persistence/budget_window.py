"""When the windows of budgets end, for people. Pure. When one began is said by ``budget_window_1`` in SQL, which
decides; a test holds the two together.
"""

from datetime import UTC, datetime, timedelta

from common.control_ports import Window


def window_end(window: Window, at: datetime) -> datetime | None:
    """Return when the window of ``at`` ends; None: never."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match window:
        case Window.DAY:
            return day + timedelta(days=1)
        case Window.MONTH:
            return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
        case Window.TOTAL:
            return None
