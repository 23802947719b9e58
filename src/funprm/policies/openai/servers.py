"""The servers behind one policy: which of them live, and what each understands."""

import asyncio
import logging

from funprm.policies.openai import transport as calls
from funprm.policies.openai.prefixes import Way
from funprm.policies.openai.probe import find_way
from funprm.policies.openai.requests import Service
from funprm.policies.openai.transport import Transport

_log = logging.getLogger(__name__)


class Server:
    """One server, as it is reached in one `sample`."""

    def __init__(self, service: Service, transport: Transport) -> None:
        """`service` outlives the transport: it keeps what was learnt of the server."""
        self.service = service
        self.transport = transport
        self.health = service.health
        self.url = transport.base_url
        self._asking = asyncio.Lock()

    async def way(self) -> Way:
        """How it continues a prefix; it is asked once. Errors as `find_way`."""
        async with self._asking:
            return await find_way(self.service, self.transport)

    def lose(self, reason: str) -> None:
        """Leave it alone from now on."""
        self.health.lost = True
        _log.warning(
            "%s does not answer (%s): others take its requests until it does", self.url, reason
        )

    async def recover(self) -> None:
        """Wait until it answers again; it is asked after pauses that double."""
        while self.health.lost:
            pause = min(calls.FIRST_PAUSE * 2**self.health.pauses, calls.LONGEST_PAUSE)
            self.health.pauses += 1
            await asyncio.sleep(pause)
            if await self.transport.lives():
                self.health.recovered()
                _log.warning("%s answers again", self.url)
