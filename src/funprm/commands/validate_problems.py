"""Can a file of one's own problems be used? What `funprm validate-problems` does."""

from collections import Counter

from funprm.commands.problems import checked
from funprm.datasets.jsonl import JsonlDataset
from funprm.errors import DataError
from funprm.executors.grading.suites import PreparedSuite


def validate_problems(path: str) -> str:
    """Read all problems of a file or folder, and see whether the judge would take their tests.

    Returns:
        One line that counts what they have.

    Raises:
        InputError: the first problem that cannot be used.
    """
    counts: Counter[str] = Counter()
    for problem in checked(JsonlDataset(path=path).load()):
        suites = {"hidden": problem.hidden, "public": problem.public, "probe": problem.probe}
        for name, suite in suites.items():
            if suite is None:
                continue
            counts[name] += 1
            fault = PreparedSuite(suite.unpacked(), 0, compat=False).fault
            if fault:
                raise DataError(f"problem {problem.problem_id!r}: {name} tests: {fault}")
        counts["reference"] += problem.reference is not None
        counts[problem.split] += 1
    splits = ", ".join(
        f"{counts[split]} {split}"
        for split in ("train", "meta", "validation", "test")
        if counts[split]
    )
    return (
        f"{counts['hidden']} problems, all usable ({splits}): {counts['public']} with public "
        f"tests, {counts['probe']} with probes, {counts['reference']} with a reference"
    )
