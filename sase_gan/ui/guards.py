"""What stands between the network and the studio: no other site's requests, no frames, few tries of a password."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TRIES, PAUSE = 5, 60.0
MOST_ADDRESSES = 1000
MOST_TRIES_OF_ALL = 100


class OwnOrigin:
    """Refuse requests of pages of another origin: a browser carries them out even where it hides the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass unless its Origin is another than its Host."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            origin, host = headers.get(b"origin"), headers.get(b"host", b"")
            if origin is not None and origin.partition(b"//")[2] != host:
                answer = PlainTextResponse("This request comes from another site and was refused.", status_code=403)
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Unframed:
    """Let no page of another site show the studio in a frame, where a visitor would click without seeing it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say so in the head of every answer, and that files are what they are called."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Frame-Options"] = "SAMEORIGIN"
                headers["Content-Security-Policy"] = "frame-ancestors 'self'"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, answer if scope["type"] == "http" else send)


class FewTries:
    """After five wrong passwords an address waits for a minute; all addresses together have a hundred a minute."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.clock = app, clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the tries that failed; those under way count as such until they are answered."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") != "/login":
            await self.app(scope, receive, send)
            return
        address, now = (scope.get("client") or ("",))[0], self.clock()
        for known in list(self._failed):
            self._failed[known] = [at for at in self._failed[known] if now - at < PAUSE]
            if not self._failed[known]:
                del self._failed[known]
        tries = self._failed.setdefault(address, [])
        while len(self._failed) > MOST_ADDRESSES:
            self._failed.popitem(last=False)
        if len(tries) >= TRIES or sum(map(len, self._failed.values())) >= MOST_TRIES_OF_ALL:
            await PlainTextResponse("Too many wrong passwords; wait a minute.", status_code=429)(scope, receive, send)
            return
        tries.append(now)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400 and now in tries:
                tries.remove(now)
            await send(message)

        await self.app(scope, receive, answer)
