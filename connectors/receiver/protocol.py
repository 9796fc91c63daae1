"""HTTP/1.1 as uvicorn speaks it, with an end to patience: a request's head must have come within some seconds."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def impatient(head_seconds: float) -> type[H11Protocol]:
    """The protocol that closes a connection whose next request's head does not come, begun or not, within `head_seconds`.

    uvicorn waits for the first head without end, and for one that has begun: slow connections would fill the receiver.
    """

    class Impatient(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._unwatch()

        def _watch(self) -> None:
            if not self._waits_for_head():
                self._unwatch()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(head_seconds, self._end)

        def _unwatch(self) -> None:
            if self._deadline:
                self._deadline.cancel()
                self._deadline = None

        def _waits_for_head(self) -> bool:
            cycle: Any = self.cycle  # None before the first request, whatever uvicorn's annotation says
            return cycle is None or bool(cycle.response_complete)

        def _end(self) -> None:
            if self._waits_for_head():
                self.transport.abort()

    return Impatient
