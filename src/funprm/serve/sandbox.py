"""Verdicts on programs: `/judge`, and SandboxFusion's `/run_code` and `/submit`.

All programs run in the isolation of `executors`, whatever the schema.
"""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from funprm.interfaces import Job
from funprm.prompts import extract_code
from funprm.records import Case, Problem, Status, Suite, Verdict
from funprm.serve import asking
from funprm.serve.errors import DOCUMENTED, HttpError
from funprm.serve.schemas import PublicTest
from funprm.serve.services import Services
from funprm.serve.streaming import unless_gone

_MEMORY_MB = 1024
_MOST_MEMORY_MB = 8192


class JudgeRequest(BaseModel):
    """Programs and the tests of one problem."""

    programs: list[str] = Field(min_length=1)
    tests: list[PublicTest] = Field(min_length=1)
    entry_point: str = Field("", description="Function to be called; empty: standard input.")
    seconds: float | None = Field(None, gt=0, allow_inf_nan=False, description="CPU limit a test.")


class CaseVerdict(BaseModel):
    """What a test says of a program."""

    status: str
    seconds: float
    detail: str


class ProgramVerdict(BaseModel):
    """What the tests say of a program."""

    index: int
    status: str
    passed: bool | None = Field(description="Null: it could not be judged; never a failure.")
    detail: str
    tests: list[CaseVerdict]


class JudgeAnswer(BaseModel):
    """Verdicts in the order of the programs."""

    data: list[ProgramVerdict]


class RunCodeRequest(BaseModel):
    """SandboxFusion's request for one run."""

    code: str
    language: str = "python"
    stdin: str | None = None
    compile_timeout: float = Field(10, allow_inf_nan=False)
    run_timeout: float = Field(10, gt=0, allow_inf_nan=False, description="CPU seconds.")
    memory_limit_MB: int = Field(-1, description="Below 1: 1024.")  # noqa: N815  (its name there)
    files: dict[str, str | None] = Field({}, description="Not supported.")
    fetch_files: list[str] = Field([], description="Not supported.")


class CommandResult(BaseModel):
    """What became of a process."""

    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    execution_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class RunCodeAnswer(BaseModel):
    """SandboxFusion's answer about one run."""

    status: Literal["Success", "Failed", "SandboxError"]
    message: str = ""
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = {}


class StdioTest(BaseModel):
    """A test by standard streams."""

    input: dict[str, str]
    output: dict[str, str]


class ProvidedData(BaseModel):
    """The problem that a submission brings along."""

    test: list[StdioTest] = Field(min_length=1)


class SubmitConfig(BaseModel):
    """How a submission is judged."""

    language: str = "python"
    run_timeout: float = Field(10, gt=0, allow_inf_nan=False)
    provided_data: ProvidedData


class SubmitRequest(BaseModel):
    """A submission to SandboxFusion's online judge, with its tests (`provided_data`)."""

    dataset: str = ""
    id: int | str = ""
    completion: str
    config: SubmitConfig


class SubmitTest(BaseModel):
    """What became of one test."""

    passed: bool
    exec_info: RunCodeAnswer
    test_info: dict[str, Any] | None = None


class SubmitAnswer(BaseModel):
    """SandboxFusion's answer to a submission."""

    id: int | str
    accepted: bool
    extracted_code: str
    full_code: str | None = None
    test_code: str | None = None
    tests: list[SubmitTest]
    extracted_type: str | None = None
    extra: dict[str, Any] | None = None


def routes(services: Services) -> APIRouter:
    """The routes for verdicts."""
    router = APIRouter(tags=["judge"], responses=DOCUMENTED)

    @router.post("/judge")
    async def judge(body: JudgeRequest, request: Request) -> JudgeAnswer:
        """Programs by the tests of one problem; all tests are run."""
        found = await unless_gone(request, _judge(body, services))
        return JudgeAnswer(data=[_program(i, verdict) for i, verdict in enumerate(found)])

    @router.post("/run_code")
    async def run_code(body: RunCodeRequest, request: Request) -> RunCodeAnswer:
        """One run of a Python program, with what it printed."""
        _require_python(body.language)
        if body.files or body.fetch_files:
            raise HttpError(400, "files are not supported", code="unsupported_parameter")
        case = Case(input=body.stdin or "")
        memory = body.memory_limit_MB if body.memory_limit_MB > 0 else _MEMORY_MB
        suite = _suite((case,), body.run_timeout, services, memory)
        answers, verdict = await unless_gone(request, _run(body.code, suite, services))
        return _ran(verdict, 0, answers.get(0, ""))

    @router.post("/submit")
    async def submit(body: SubmitRequest, request: Request) -> SubmitAnswer:
        """A program in an answer, by tests of standard streams that come with it."""
        _require_python(body.config.language)
        cases = tuple(map(_case, body.config.provided_data.test))
        code = extract_code(body.completion)
        suite = _suite(cases, body.config.run_timeout, services)
        answers, verdict = await unless_gone(request, _run(code, suite, services))
        # Where nothing could be judged there are no results: every test says so.
        judged = len(cases) if verdict.status is Status.NOT_JUDGED else len(verdict.results)
        tests = [
            SubmitTest(
                passed=verdict.passed is not None and verdict.results[i].status is Status.PASSED,
                exec_info=_ran(verdict, i, answers.get(i, "")),
                test_info=body.config.provided_data.test[i].model_dump(),
            )
            for i in range(judged)
        ]
        accepted = verdict.status is Status.PASSED
        return SubmitAnswer(id=body.id, accepted=accepted, extracted_code=code, tests=tests)

    return router


async def _judge(body: JudgeRequest, services: Services) -> list[Verdict]:
    if len(body.programs) > services.settings.max_programs:
        message = f"{len(body.programs)} programs: at most {services.settings.max_programs}"
        raise HttpError(400, message, code="too_many_programs", param="programs")
    services.judge.require_room(len(body.programs))
    fields = asking.fields_of(body.tests, body.entry_point, body.seconds, services.settings)
    problem = asking.problem_with("judged", fields)
    return await services.judge.verdicts([_job(code, problem) for code in body.programs])


def _job(code: str, problem: Problem) -> Job:
    assert problem.public is not None
    return Job(key="judged", code=code, suite=problem.public, stop_at_first_failure=False)


def _program(index: int, verdict: Verdict) -> ProgramVerdict:
    tests = [
        CaseVerdict(status=result.status.value, seconds=result.cpu, detail=result.detail)
        for result in verdict.results
    ]
    return ProgramVerdict(
        index=index,
        status=verdict.status.value,
        passed=verdict.passed,
        detail=verdict.detail,
        tests=tests,
    )


# --- SandboxFusion ---------------------------------------------------------------------------


def _require_python(language: str) -> None:
    if language != "python":
        message = f"language {language[:40]!r} is not supported: expected 'python'"
        raise HttpError(400, message, code="unsupported_language", param="language")


def _case(test: StdioTest) -> Case:
    """A test of standard streams; anything else would be left out of the verdict.

    Raises:
        HttpError: it has files, or does not say what is to be printed.
    """
    if test.input.keys() - {"stdin"} or test.output.keys() != {"stdout"}:
        message = (
            f"a test has input {sorted(test.input)} and output {sorted(test.output)}: expected "
            "stdin and stdout; files are not supported"
        )
        raise HttpError(400, message, code="unsupported_parameter", param="provided_data")
    return Case(input=test.input.get("stdin", ""), output=test.output["stdout"])


def _suite(
    cases: tuple[Case, ...], seconds: float, services: Services, memory: int = _MEMORY_MB
) -> Suite:
    """Tests by standard streams, within the server's limits."""
    return Suite(
        kind="stdin",
        cases=cases,
        seconds=min(seconds, services.settings.max_seconds),
        memory_mb=min(memory, _MOST_MEMORY_MB),
    )


async def _run(code: str, suite: Suite, services: Services) -> tuple[dict[int, str], Verdict]:
    """What a program answers, by case, and its verdict."""
    answers: dict[int, str] = {}
    job = Job(
        key="run", code=code, suite=suite, stop_at_first_failure=False, show=answers.__setitem__
    )
    return answers, (await services.judge.verdicts([job]))[0]


def _ran(verdict: Verdict, place: int, stdout: str) -> RunCodeAnswer:
    """A case's result in SandboxFusion's words."""
    if verdict.status is Status.NOT_JUDGED or place >= len(verdict.results):
        error = CommandResult(status="Error", stderr=verdict.detail)
        return RunCodeAnswer(status="SandboxError", message=verdict.detail, run_result=error)
    result = verdict.results[place]
    answered = result.status in (Status.PASSED, Status.WRONG_ANSWER)
    late = result.status is Status.TIME_LIMIT
    run = CommandResult(
        status="TimeLimitExceeded" if late else "Finished",
        execution_time=result.wall,
        return_code=None if late else int(not answered),
        stdout=stdout.encode(errors="replace").decode(),
        stderr="" if answered else result.detail,
    )
    return RunCodeAnswer(status="Success" if answered else "Failed", run_result=run)
