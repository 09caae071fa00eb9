"""Reads how long a schedule of EventBridge Scheduler may go without starting a run."""

import re

UNITS = {"minute": 1 / 60, "hour": 1, "day": 24}
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
ANY = ("*", "?")
# A schedule of certain days of a month, or of certain months, may wait for a month or longer.
A_MONTH = 28 * 24


def longest_wait(expression: str) -> float | None:
    """Returns the hours between two runs, at most, or `None` for a schedule that has one run, or that is not known."""
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return int(rate[1]) * UNITS[rate[2]]
    cron = re.fullmatch(r"cron\(\S+ (\S+) (\S+) (\S+) (\S+) \S+\)", expression)
    if not cron:
        return None
    hours, day_of_month, month, day_of_week = cron.groups()
    if day_of_month not in ANY or month != "*":
        return A_MONTH
    try:
        days = _chosen(day_of_week.upper(), 1, 7)
        starts = sorted((day - 1) * 24 + hour for day in days for hour in _chosen(hours, 0, 23))
    except ValueError:
        return None
    return max(later - earlier for earlier, later in zip(starts, [*starts[1:], starts[0] + 7 * 24], strict=True))


def _chosen(field: str, least: int, most: int) -> list[int]:
    """Returns the numbers that a field of a cron expression names. Days of a week may have names."""
    for number, name in enumerate(DAYS, start=1):
        field = field.replace(name, str(number))
    found: list[int] = []
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, to, last = span.partition("-")
        start = least if first in ANY else int(first)
        end = most if first in ANY or (step and not to) else int(last or first)
        found += range(start, end + 1, int(step or 1))
    return found
