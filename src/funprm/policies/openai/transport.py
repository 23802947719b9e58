"""HTTP calls to an OpenAI-compatible server that survive what servers and networks do.

Repeated, with pauses that double and jitter that is reproducible: 408, 409, 425, 429, 5xx, dropped
connections, time-outs, answers that are cut off or not what the protocol says. `Retry-After` is
respected, and holds back all calls. Any other status is final (`RejectedError`).

A call is never repeated once its answer has arrived. What can't be ruled out is that a server
finished (and charged) a call whose answer got lost on the way; every attempt of a call carries
the same `Idempotency-Key`, which servers that know it use to charge once.
"""

import asyncio
import functools
import json
import os
import random
import re
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from funprm.errors import PolicyError
from funprm.policies.openai.budget import Statistics
from funprm.policies.openai.health import Health, retry_after
from funprm.records import Json

FIRST_PAUSE = 0.5
"""Seconds before the first repetition; doubled for each further one."""
LONGEST_PAUSE = 60.0
LONGEST_WAIT = 900.0
"""Seconds of `Retry-After` up to which the policy waits; beyond, it gives up at once."""
CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15.0
UNREACHABLE_AFTER = 3
"""Failed connections in one call before a server that never answered counts as unreachable."""
RATE_LIMITS_PER_RETRY = 8
"""A 429 costs nothing and is expected, so a call survives more of them than of faults."""

_REPEATABLE = frozenset({408, 409, 425, 429, 500, *range(502, 600)})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; `body` has the non-empty list that was asked for."""

    body: Mapping[str, Json]
    seconds: float
    """From sending the successful attempt to its last byte."""


class RejectedError(Exception):
    """The server refuses this call, and would refuse it again."""

    def __init__(self, status: int, message: str, *, code: str = "", parameter: str = "") -> None:
        """`code` and `parameter` are the error object's `code` and `param`, where given."""
        super().__init__(f"HTTP {status}: {message}" if message else f"HTTP {status}")
        self.status = status
        self.message = message
        self.code = code
        self.parameter = parameter


class UnansweredError(Exception):
    """All attempts of a call failed."""


class LostServerError(Exception):
    """The server does not answer, and another one may."""


class _Fault(Exception):  # noqa: N818  never leaves this module
    """One attempt failed in a way that another one may not."""

    def __init__(self, reason: str, *, limited: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.limited = limited
        self.wait = wait


class _NoConnection(_Fault):
    pass


class Transport:
    """The connections for the calls of one `sample`, to be used as an asynchronous context.

    Each call in flight has an HTTP client, hence a connection, of its own: the time that a pool
    of n connections takes for one call grows with n.
    """

    def __init__(
        self,
        base_url: str,
        key_variable: str,
        statistics: Statistics,
        *,
        timeout: float,
        retries: int,
        health: Health | None = None,
    ) -> None:
        """`timeout` (seconds) bounds one attempt from the connection to the last byte.

        `health` is of a server among others.
        """
        self.base_url = base_url.rstrip("/")
        self.key_variable = key_variable
        self.statistics = statistics
        self.health = health or Health()
        self._timeout = timeout
        self._retries = retries
        self._stopped = asyncio.Event()
        self._not_before = 0.0
        self._reached = False
        self._headers = httpx.Headers(authorization(key_variable))
        self._clients: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for client in self._clients:
            await client.aclose()

    def stop(self) -> None:
        """Send nothing more: calls that wait for their next attempt fail now."""
        self._stopped.set()

    async def post(
        self, path: str, body: Mapping[str, Json], call: str, field: str = "choices"
    ) -> Answer:
        """The server's answer to a call.

        Args:
            path: below the base URL, such as `/chat/completions`.
            body: the JSON object to send.
            call: name of the call, the same for each attempt (`Idempotency-Key`).
            field: the list of objects that a complete answer has.

        Raises:
            RejectedError: the server refuses the call for good.
            UnansweredError: no attempt succeeded, or the transport was stopped.
            LostServerError: the server seems down, and there is another.
            PolicyError: there is no server, or it asks for a pause that is too long.
        """
        jitter = random.Random(call)
        faults = limited = refused = 0
        while True:
            await self._rest(self._not_before - time.monotonic())
            if self.health.lost:
                raise LostServerError("others found it down")
            try:
                return await self._attempt(path, body, call, field)
            except _Fault as fault:
                unconnected = isinstance(fault, _NoConnection)
                if not fault.limited and self.health.failed(connected=not unconnected):
                    raise LostServerError(str(fault)) from None
                limited += fault.limited
                faults += not fault.limited
                refused += unconnected
                self._check(fault, faults, limited, refused)
                wait = fault.wait or 0.0
                pause = min(FIRST_PAUSE * 2 ** (faults + limited - 1), LONGEST_PAUSE)
            await self._rest(wait + pause * jitter.uniform(0.5, 1.0))
            self.statistics.retries += 1

    async def models(self) -> list[str]:
        """What the server says it offers; empty where it does not say."""
        try:
            async with self._client() as client:
                response = await client.get(f"{self.base_url}/models")
            return [str(model["id"]) for model in response.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    async def lives(self) -> bool:
        """Whether there is a server that does not say of itself that it fails."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS), self._client() as client:
                response = await client.get(f"{self.base_url}/models")
        except (httpx.HTTPError, TimeoutError):
            return False
        return response.status_code < 500

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client that no other call is using."""
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            yield client
        finally:
            self._idle.append(client)

    def _new_client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            headers=self._headers,
            timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, CONNECT_SECONDS)),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_SECONDS),
            verify=_tls(),
        )
        self._clients.append(client)
        return client

    def _check(self, fault: _Fault, faults: int, limited: int, refused: int) -> None:
        """Raise where another attempt is useless."""
        never_reached = not (self._reached or self.statistics.answers)
        if refused >= UNREACHABLE_AFTER and never_reached:
            places = " nor to ".join([self.base_url, *(other.url for other in self.health.others)])
            raise PolicyError(
                f"no connection to {places} ({fault}): check base_url and that the server runs"
            ) from None
        if fault.wait is not None and fault.wait > LONGEST_WAIT:
            raise PolicyError(
                f"{self.base_url} asks to wait {fault.wait:.0f} s before the next call "
                f"({fault}): run again later, all answers so far are kept"
            ) from None
        if faults > self._retries or limited > RATE_LIMITS_PER_RETRY * max(self._retries, 1):
            raise UnansweredError(f"{fault} ({faults + limited} attempts)") from None

    async def _rest(self, seconds: float) -> None:
        """Pause, but not longer than until the transport is stopped."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._stopped.wait()
            except TimeoutError:
                pass
        if self._stopped.is_set():
            raise UnansweredError("stopped before it was sent")

    async def _attempt(self, path: str, body: Mapping[str, Json], call: str, field: str) -> Answer:
        self.statistics.requests += 1
        started = time.monotonic()
        content = json.dumps(body).encode("ascii")  # half a surrogate pair is no UTF-8
        headers = {"Content-Type": "application/json", "Idempotency-Key": call}
        try:
            async with asyncio.timeout(self._timeout), self._client() as client:
                response = await client.post(self.base_url + path, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _NoConnection(_line(error)) from None
        except (httpx.TimeoutException, TimeoutError):
            raise _Fault(f"no answer in {self._timeout:g} s") from None
        except httpx.RequestError as error:
            raise _Fault(_line(error)) from None
        self._reached = True
        if not response.is_success:
            raise self._refusal(response)
        answer = Answer(self._read(response, field), time.monotonic() - started)
        self.health.answered()
        return answer

    def _refusal(self, response: httpx.Response) -> RejectedError | _Fault:
        """What a status that is not 2xx means."""
        error = self._rejection(response)
        limited = response.status_code == 429
        if response.status_code not in _REPEATABLE or error.code == "insufficient_quota":
            self.health.answered()
            return error
        wait = retry_after(response.headers, time.time())
        if limited:
            self.statistics.rate_limited += 1
            self._not_before = max(self._not_before, time.monotonic() + (wait or 0.0))
        return _Fault(str(error), limited=limited, wait=wait)

    def _read(self, response: httpx.Response, field: str) -> dict[str, Json]:
        """The answer of a successful response, if it is a complete one."""
        try:
            answer = response.json()
        except ValueError:
            raise _Fault("the server's answer is not JSON") from None
        items = answer.get(field) if isinstance(answer, dict) else None
        if isinstance(items, list) and items and isinstance(items[0], dict):
            return dict(answer)
        raise _Fault(f"the server's answer has no {field}: {self._scrub(answer)}")

    def _rejection(self, response: httpx.Response) -> RejectedError:
        try:
            body = response.json()
        except ValueError:
            body = response.text
        error = body.get("error", body) if isinstance(body, dict) else body
        if not isinstance(error, dict):
            return RejectedError(response.status_code, self._scrub(error))
        message = error.get("message") or error.get("detail") or ""
        return RejectedError(
            response.status_code,
            self._scrub(message),
            code=str(error.get("code") or error.get("type") or ""),
            parameter=str(error.get("param") or ""),
        )

    def _scrub(self, message: Json) -> str:
        """A server's message as one short line, without the key, which some repeat."""
        line = " ".join(str(message).split())
        if key := self._headers.get("Authorization", "").removeprefix("Bearer "):
            line = line.replace(key, "***")
        return line if len(line) <= 300 else line[:299] + "…"


def authorization(variable: str) -> dict[str, str]:
    """The header with the key that this environment variable holds; none where it is not set.

    Raises:
        PolicyError: the value cannot be a key (it is not repeated in the message).
    """
    key = os.environ.get(variable, "").strip()
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        del key  # some tracebacks show local variables
        raise PolicyError(
            f"the environment variable {variable} holds no key (blanks or characters outside "
            "ASCII): set it to the key alone"
        )
    return {"Authorization": f"Bearer {key}"} if key else {}


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than a call."""
    return httpx.create_ssl_context()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
