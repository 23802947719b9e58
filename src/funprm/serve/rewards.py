"""Scores: `/steps`, and `/score`, `/classify` and `/pooling` in vLLM's schemas."""

import math
import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from funprm.commands.one_problem import FunctionScores
from funprm.evaluation.aggregation import SATURATION
from funprm.prompts import extract_code
from funprm.serve.errors import DOCUMENTED, HttpError
from funprm.serve.schemas import ChatMessage, text_of
from funprm.serve.scoring import BatchedScorer, Pair
from funprm.serve.services import Services
from funprm.serve.streaming import unless_gone

Texts = str | Annotated[list[str], Field(min_length=1)]


class Scored(BaseModel):
    """What all requests for scores may have."""

    model_config = ConfigDict(extra="allow")
    model: str | None = None


class StepsRequest(Scored):
    """Programs for one statement."""

    statement: str = Field(min_length=1)
    programs: list[str] = Field(min_length=1)


class FunctionScore(BaseModel):
    """A function of a program: `program[start:end]`."""

    name: str
    start: int
    end: int
    score: float | None = Field(description="In [0, 1]; null: the program does not fit.")


class ProgramScore(BaseModel):
    """A program's scores."""

    index: int
    score: float | None = Field(description="Aggregated; null: the program does not fit.")
    functions: list[FunctionScore]


class StepsAnswer(BaseModel):
    """Scores of programs, in the order of the request."""

    model: str
    aggregator: str
    data: list[ProgramScore]


class TokenUsage(BaseModel):
    """Tokens are not counted here."""

    prompt_tokens: int = 0
    total_tokens: int = 0
    completion_tokens: int = 0


class VllmAnswer(BaseModel):
    """What vLLM's answers have in common."""

    id: str
    object: str = "list"
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    usage: TokenUsage = TokenUsage()


class ScoreRequest(Scored):
    """Pairs of a statement and a program; one statement goes with all programs."""

    text_1: Texts = Field(description="Statement, or one per program.")
    text_2: Texts = Field(description="Program, or programs.")


class ScoreData(BaseModel):
    """A program's score."""

    index: int
    object: str = "score"
    score: float


class ScoreAnswer(VllmAnswer):
    """Scores, in the order of the request."""

    data: list[ScoreData]


class RenderedRequest(Scored):
    """Either rendered texts or a conversation of a statement and a program."""

    input: Texts | None = Field(None, description="Texts with the model's marker after each step.")
    messages: list[ChatMessage] | None = Field(
        None, description="A statement (user) and a program (assistant)."
    )
    use_activation: bool | None = Field(None, description="False: logits in place of scores.")


class ClassifyData(BaseModel):
    """The score of a complete program."""

    index: int
    label: str = "LABEL_0"
    probs: list[float]
    num_classes: int = 1


class ClassifyAnswer(VllmAnswer):
    """Scores at the last marker."""

    data: list[ClassifyData]


class PoolingData(BaseModel):
    """The scores of all steps."""

    index: int
    object: Literal["pooling"] = "pooling"
    data: list[list[float]]


class PoolingAnswer(VllmAnswer):
    """Scores at all markers, a row each."""

    data: list[PoolingData]


def routes(services: Services) -> APIRouter:
    """The routes for scores."""
    router = APIRouter(tags=["scores"], responses=DOCUMENTED)
    most = services.settings.max_programs

    @router.post("/steps")
    async def steps(body: StepsRequest, request: Request) -> StepsAnswer:
        """Functions of programs with their scores."""
        scorer = _scorer(services)
        _check_count(len(body.programs), most)
        pairs = [(body.statement, code) for code in body.programs]
        found = await unless_gone(request, scorer.score(pairs))
        data = [
            _program(index, code, scores, scorer)
            for index, (code, scores) in enumerate(zip(body.programs, found, strict=True))
        ]
        return StepsAnswer(model=_name(scorer), aggregator=scorer.model.aggregator, data=data)

    @router.post("/score")
    @router.post("/v1/score")
    async def score(body: ScoreRequest, request: Request) -> ScoreAnswer:
        """One number per program."""
        scorer = _scorer(services)
        pairs = _pairs(body)
        _check_count(len(pairs), most)
        found = await unless_gone(request, scorer.score(pairs))
        values = [_fitting(scores.score, index) for index, scores in enumerate(found)]
        data = [ScoreData(index=index, score=value) for index, value in enumerate(values)]
        return ScoreAnswer(id=_id("score"), model=_name(scorer), data=data)

    @router.post("/classify")
    async def classify(body: RenderedRequest, request: Request) -> ClassifyAnswer:
        """The score of complete programs: at the last marker."""
        scorer = _scorer(services)
        found = await unless_gone(request, _rendered(body, scorer, most))
        data = [ClassifyData(index=i, probs=[scores[-1]]) for i, scores in enumerate(found)]
        return ClassifyAnswer(id=_id("classify"), model=_name(scorer), data=data)

    @router.post("/pooling")
    async def pooling(body: RenderedRequest, request: Request) -> PoolingAnswer:
        """The scores of all steps: at all markers."""
        scorer = _scorer(services)
        found = await unless_gone(request, _rendered(body, scorer, most))
        data = [PoolingData(index=i, data=[[s] for s in row]) for i, row in enumerate(found)]
        return PoolingAnswer(id=_id("pool"), model=_name(scorer), data=data)

    return router


def _scorer(services: Services) -> BatchedScorer:
    if services.scorer is None:
        message = "this server has no reward model: start it with --prm FOLDER"
        raise HttpError(404, message, code="no_reward_model")
    return services.scorer


def _check_count(count: int, most: int) -> None:
    if count > most:
        message = f"{count} programs in one request: this server takes at most {most}"
        raise HttpError(400, message, code="too_many_programs")


def _name(scorer: BatchedScorer) -> str:
    return scorer.model.folder.name


def _id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def _program(index: int, code: str, scores: FunctionScores, scorer: BatchedScorer) -> ProgramScore:
    ends, names = scorer.model.cut(code)
    values: Sequence[float | None] = scores.values or [None] * len(ends)
    functions = [
        FunctionScore(name=name, start=start, end=end, score=value)
        for name, start, end, value in zip(names, (0, *ends), ends, values, strict=False)
    ]
    return ProgramScore(index=index, score=scores.score, functions=functions)


def _pairs(body: ScoreRequest) -> list[Pair]:
    programs = [body.text_2] if isinstance(body.text_2, str) else body.text_2
    statements = [body.text_1] if isinstance(body.text_1, str) else body.text_1
    if len(statements) == 1:
        statements = statements * len(programs)
    if len(statements) != len(programs):
        message = f"{len(statements)} statements and {len(programs)} programs: expected one or each"
        raise HttpError(400, message, code="invalid_value", param="text_1")
    return list(zip(statements, programs, strict=True))


async def _rendered(
    body: RenderedRequest, scorer: BatchedScorer, most: int
) -> list[tuple[float, ...]]:
    """Scores of rendered texts, or of a conversation; logits where activation is not wanted."""
    if (body.input is None) == (body.messages is None):
        raise HttpError(400, "expected either `input` or `messages`", code="invalid_value")
    if body.messages is not None:
        found = [scores.values for scores in await scorer.score([_spoken(body.messages)])]
    else:
        texts = [body.input] if isinstance(body.input, str) else list(body.input or ())
        _check_count(len(texts), most)
        found = await scorer.texts(texts)
    for index, scores in enumerate(found):
        _fitting(scores[-1] if scores else None, index)
    if body.use_activation is False:
        return [tuple(map(_logit, scores)) for scores in found]
    return found


def _spoken(messages: Sequence[ChatMessage]) -> Pair:
    """Statement and program of a conversation that ends with the program."""
    said = [text_of(message.content) for message in messages if message.role == "user"]
    if not said or messages[-1].role != "assistant":
        message = "expected messages of a statement (user), then a program (assistant)"
        raise HttpError(400, message, code="invalid_value", param="messages")
    return "\n\n".join(said).strip(), extract_code(text_of(messages[-1].content))


def _fitting(score: float | None, index: int) -> float:
    if score is None:
        message = f"program {index} does not fit in the model's input"
        raise HttpError(400, message, code="context_length_exceeded")
    return score


def _logit(score: float) -> float:
    clipped = min(max(score, SATURATION), 1 - SATURATION)
    return math.log(clipped) - math.log1p(-clipped)
