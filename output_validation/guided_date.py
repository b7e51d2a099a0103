"""Reads dates that are written in other ways than RFC 3339, where day and month cannot be confused. Pure."""

import re
from datetime import date
from typing import Final

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            *("jan january", "feb february", "mar march", "apr april", "may", "jun june"),
            *("jul july", "aug august", "sep sept september", "oct october", "nov november", "dec december"),
        ),
        start=1,
    )
    for name in names.split()
}
_ISO: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_YEAR_FIRST: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})")
_COMPACT: Final = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")
_YEAR_LAST: Final = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})")
_WEEKDAY: Final = r"(?P<weekday>(?i:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun))(?i:day)?\.?"
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MONTH_NAME: Final = re.compile(
    rf"(?:{_WEEKDAY},?\s+)?(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?[\s-]+(?:of\s+)?(?P<month>[A-Za-z]{{3,9}})\.?,?[\s-]+(?P<year>[0-9]{{4}})"
)
_MONTH_NAME_DAY: Final = re.compile(
    rf"(?:{_WEEKDAY},\s+)?(?P<month>[A-Za-z]{{3,9}})\.?\s+(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>[0-9]{{4}})"
)
_MIDNIGHT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?")
_DATE_TIME: Final = re.compile(
    r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})[Tt ]+([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?"
    r"\s*(Z|z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})"
)


def read_date(text: str, format_name: str) -> str | None:
    """Return ``text`` in the form that ``format_name`` (date, date-time) demands, or None."""
    text = text.strip()
    match format_name:
        case "date":
            return _date(text)
        case "date-time":
            return _date_time(text)
        case _:
            return None


def _date(text: str) -> str | None:
    if midnight := _MIDNIGHT.fullmatch(text):
        return midnight.group(1)
    if found := (_ISO.fullmatch(text) or _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text)):
        return _iso(int(found[1]), int(found[2]), int(found[3]))
    if found := _YEAR_LAST.fullmatch(text):
        return _year_last(int(found[1]), int(found[2]), int(found[3]))
    if found := (_DAY_MONTH_NAME.fullmatch(text) or _MONTH_NAME_DAY.fullmatch(text)):
        day = _iso(int(found["year"]), _MONTHS.get(found["month"].casefold(), 0), int(found["day"]))
        weekday = (found["weekday"] or "")[:3].casefold()
        return (
            day if day is None or not weekday or date.fromisoformat(day).weekday() == _WEEKDAYS.index(weekday) else None
        )
    return None


def _year_last(first: int, second: int, year: int) -> str | None:
    """Day and month are told apart only where one of them is above twelve, or where they are equal."""
    readings = {_iso(year, second, first), _iso(year, first, second)} - {None}
    return readings.pop() if len(readings) == 1 else None


def _date_time(text: str) -> str | None:
    found = _DATE_TIME.fullmatch(text)
    day = _iso(int(found[1]), int(found[2]), int(found[3])) if found else None
    if found is None or day is None:
        return None
    zone = found[6].upper()
    if zone in {"UTC", "GMT"}:
        zone = "Z"
    elif zone != "Z" and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    return f"{day}T{found[4]}{found[5] or ':00'}{zone}"


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
