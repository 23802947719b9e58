import pytest

from funprm.evaluation.comparison import Curve, Part, TableRow
from funprm.evaluation.significance import Resolution
from funprm.evaluation.statistics import Interval, McNemar
from funprm.report.data import (
    CandidateView,
    Cost,
    FunctionView,
    ProblemView,
    ReportData,
    RewardPoint,
    TrainingCurve,
)

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} $x$ & \u2028 \udc80"
)


def interval(middle: float, half: float = 0.08) -> Interval:
    return Interval(middle, middle - half, middle + half)


def row(selector: str, middle: float, test: McNemar | None, uninformed: int = 0) -> TableRow:
    return TableRow(
        selector=selector,
        n=8,
        problems=131,
        accuracy=interval(middle),
        solved=round(131 * middle),
        by_difficulty={
            "easy": Part(problems=31, accuracy=1.0),
            "hard": Part(problems=100, accuracy=middle - 0.1),
        },
        difference=interval(middle - 0.77, 0.03) if test else None,
        mcnemar=test,
        adjusted=2 * test.p if test else None,
        uninformed=uninformed,
    )


def candidate(index: int, verdict: str, text: str, *selected: str) -> CandidateView:
    step = FunctionView(text=text, name="solve", scores={"orm": 0.25, "funprm": 0.9}, k=3, n=4)
    last = FunctionView(text="main()\n", name="main", scores={"funprm": 1 / 3}, corrected=0.625)
    return CandidateView(
        index=index, verdict=verdict, functions=(step, last), detail=text, selected_by=selected
    )


@pytest.fixture(scope="session")
def data() -> ReportData:
    names = ("random", "score:prm", "score:funprm", "oracle")
    problems = tuple(
        ProblemView(
            problem_id=f"problem {i}/{HOSTILE if i == 1 else ''}",
            statement=HOSTILE,
            difficulty=("easy", "hard")[i % 2],
            candidates=(
                candidate(0, "passed", "def solve():\n    return 1\n", "score:funprm", "oracle"),
                candidate(1, "wrong answer", HOSTILE, "score:prm"),
                candidate(2, "not judged", "def solve():\n    return 1\n"),
            ),
        )
        for i in range(3)
    )
    return ReportData(
        title=f"Run <1> {HOSTILE}",
        baseline="score:prm",
        table=(
            row("random", 0.6, McNemar(0.0001, 2, 30)),
            row("score:prm", 0.77, None),
            row("score:funprm", 0.81, McNemar(0.0625, 5, 0), uninformed=2),
            row("oracle", 0.9, McNemar(0.0001, 20, 0)),
        ),
        settings={"policy": HOSTILE},
        splits={"train": 600, "test": 131},
        costs=(Cost(stage="generate", items=1048, tokens=412_000, seconds=61.2, money=1.5),),
        curves=tuple(
            Curve(
                selector=name,
                problems=120,
                points=tuple((n, interval(0.5 + 0.03 * i * n**0.5)) for n in (1, 2, 8)),
            )
            for i, name in enumerate(names)
        ),
        rewards=tuple(RewardPoint(k=k % 5, n=4, corrected=k % 7 / 6) for k in range(70)),
        training=(
            TrainingCurve(
                model="funprm", measure="train loss", points=((0, 0.7), (1, 0.5)), chosen=1
            ),
            TrainingCurve(model="mine", measure="train loss", points=()),
        ),
        problems=problems,
        left_out=1,
        resolution=Resolution(problems=131, discordant=0.12, difference=0.0861),
    )
