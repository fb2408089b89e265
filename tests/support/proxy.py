"""A TCP proxy on 127.0.0.1 that tests cut, stall and slow.

    with Proxy("127.0.0.1", 5432) as proxy:
        connect(proxy.port)
        proxy.stall()  # a network that drops every packet, or a peer that hangs
        proxy.heal()   # what was held back arrives now

Each of `cut`, `stall` and `slow` replaces the one before, and lasts until `heal`.
"""

import asyncio
from collections.abc import Callable
from threading import Thread
from types import TracebackType

PIECE = 16 * 1024  # bytes


class Proxy:
    """Forwards every connection to one address. Its methods may be called from any thread."""

    def __init__(self, host: str, port: int, listen_on: int = 0) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()  # cleared while stalled
        self._open.set()
        self._held = 0  # pieces that wait for it
        self._refusing = False
        self._delay_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(listen_on), self._loop).result(
            10
        )
        self.port: int = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    def holds_back(self) -> bool:
        """Whether somebody has sent something since it stalled."""
        return self._held > 0

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._set(refusing=True)

    def reset(self) -> None:
        """Reset every connection once; new ones work."""
        self._call(self._reset)

    def stall(self) -> None:
        """Pass nothing on; connections stay open, and new ones are accepted."""
        self._set(stalled=True)

    def slow(self, delay_s: float = 0.05) -> None:
        """Hold each piece of up to 16 KiB for some time, in both directions."""
        self._set(delay_s=delay_s)

    def heal(self) -> None:
        """Work as if nothing had been."""
        self._set()

    def close(self) -> None:
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def _set(self, *, refusing: bool = False, stalled: bool = False, delay_s: float = 0.0) -> None:
        def change() -> None:
            self._refusing, self._delay_s = refusing, delay_s
            if stalled:
                self._open.clear()
            else:
                self._open.set()
            if refusing:
                self._reset()

        self._call(change)

    def _call(self, work: Callable[[], None]) -> None:
        """Do it in the loop's thread, and return when it is done."""

        async def doing() -> None:
            work()

        asyncio.run_coroutine_threadsafe(doing(), self._loop).result(10)

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", port)

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = {writer}
        self._writers.add(writer)
        try:
            if self._refusing:
                return
            to_reader, to_writer = await asyncio.open_connection(*self._target)
            mine.add(to_writer)
            self._writers.add(to_writer)
            if self._refusing:  # cut while this one was being opened
                return
            await asyncio.gather(self._forward(reader, to_writer), self._forward(to_reader, writer))
        except OSError:
            pass  # one end is gone: so is the other
        finally:
            for one in mine:
                self._writers.discard(one)
                one.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._pass()
            writer.write(piece)
            await writer.drain()
        if not writer.is_closing():
            await self._open.wait()
            writer.write_eof()

    async def _pass(self) -> None:
        self._held += 1
        try:
            await self._open.wait()
        finally:
            self._held -= 1
