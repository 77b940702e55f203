"""relay.py PORT PID: the port of 127.0.0.1 that is here, also where a process has its network."""

import asyncio
import ctypes
import os
import socket
import sys

NETWORK = 0x40000000  # CLONE_NEWNET


def _listening(port: int, pid: int) -> socket.socket:
    """A socket stays in the namespace in which it was made."""
    enter = ctypes.CDLL(None, use_errno=True).setns
    with open("/proc/self/ns/net") as here, open(f"/proc/{pid}/ns/net") as there:
        for place in (there, here):
            if enter(place.fileno(), NETWORK):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            if place is there:
                found = socket.create_server(("127.0.0.1", port))
    return found


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        sink.close()


async def main(port: int, pid: int) -> None:
    async def joined(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(source, forth), _copy(back, sink))

    server = await asyncio.start_server(joined, sock=_listening(port, pid))
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
