"""The exam for corrections."""

from typing import TYPE_CHECKING

from funprm.testing.exam import report

if TYPE_CHECKING:
    from funprm.prm.correction.base import Correction


def check_correction(correction: "Correction") -> None:
    """Examine a correction on made-up evidence and batches; no model is opened.

    Args:
        correction: a fresh one; copies of it are examined.

    Raises:
        AssertionError: it breaks a promise; all that are broken are listed.
    """
    from funprm.prm.correction.exam import faults

    report(correction, faults(correction))
