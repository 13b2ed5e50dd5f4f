"""A proxy between unix sockets whose connections can be made to go silent."""

from pathlib import Path

import attrs
import trio

CHUNK_BYTES = 65_536


@attrs.define
class Proxy:
    """Passes everything on to the server at `target`, until `silence`."""

    target: str
    path: Path
    _silences: int = 0

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def silence(self) -> None:
        """The connections there are stay open and carry nothing any more; new ones work."""
        self._silences += 1

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        socket = trio.socket.socket(trio.socket.AF_UNIX)
        await socket.bind(str(self.path))
        socket.listen()
        task_status.started()
        await trio.serve_listeners(self._serve, [trio.SocketListener(socket)])

    async def _serve(self, client: trio.SocketStream) -> None:
        server = await trio.open_unix_socket(self.target.removeprefix("unix://"))
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._carry, client, server, self._silences)
            await self._carry(server, client, self._silences)
            nursery.cancel_scope.cancel()

    async def _carry(
        self, source: trio.SocketStream, sink: trio.SocketStream, silences: int
    ) -> None:
        try:
            while chunk := await source.receive_some(CHUNK_BYTES):
                if silences == self._silences:
                    await sink.send_all(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
