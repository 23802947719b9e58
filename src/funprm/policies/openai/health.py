"""Whether a server answers, by what becomes of its calls, and when to ask it again."""

import email.utils
import re
from collections.abc import Mapping, Sequence

FAILURES_TO_LOSE = 4
"""Attempts in a row, of any calls, whose failure shows that a server is not well."""


class Health:
    """Of one server among others that could take its calls."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.others: list[Health] = []
        self.lost = False
        """Left alone: it does not answer, and another does."""
        self.pauses = 0
        """How often it was asked in vain, or lost, since it last answered a call."""
        self._failures = 0

    def answered(self) -> None:
        """A call was answered, if only by a refusal."""
        self._failures = self.pauses = 0

    def failed(self, *, connected: bool) -> bool:
        """An attempt has failed; whether its call should go elsewhere."""
        self._failures += 1
        unwell = not connected or self._failures >= FAILURES_TO_LOSE
        return unwell and not all(other.lost for other in self.others)

    def recovered(self) -> None:
        """It is there again; whether it answers calls, they will show."""
        self.lost = False
        self._failures = 0


def of_servers(urls: Sequence[str]) -> list[Health]:
    """One for each of several servers, which know each other."""
    found = [Health(url) for url in urls]
    for health in found:
        health.others = [other for other in found if other is not health]
    return found


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a response asks to wait; None where it does not say.

    Args:
        headers: `retry-after-ms`, or `Retry-After` in seconds or as an HTTP date (RFC 9110,
            section 10.2.3).
        now: seconds since the epoch.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text) * unit
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - now)
