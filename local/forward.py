"""Lets containers reach what listens on loopback: a TCP forwarder on one more address."""

import asyncio
import threading
from contextlib import suppress
from typing import Self


class Forwarder:
    """Passes every connection to a port of `host` on to the same port of loopback, as a context manager.

    Parameters
    ----------
    host
        An address of this machine, such as the Docker bridge's.
    ports
        The ports.
    """

    def __init__(self, host: str, ports: list[int]) -> None:
        self._host, self._ports = host, ports
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="forwarder", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        for port in self._ports:
            asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; open connections end."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, port: int) -> None:
        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))

        self._servers.append(await asyncio.start_server(pass_on, self._host, port))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
