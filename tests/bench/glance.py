"""A Glance that swallows uploads and gives zeros: python -m tests.bench.glance SIZE.

Writes its port and serves until its input ends; `?small` asks for a small image.
"""

from __future__ import annotations

import asyncio
import sys

PIECE = bytes(64 * 1024)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.startswith("PUT"):
                start = head.lower().index("content-length: ") + 16
                left = int(head[start : head.index("\r", start)])
                while left:
                    left -= len(await reader.read(min(left, 1 << 20)))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            else:
                left = len(PIECE) if "?small" in head else size
                kind = "Content-Type: application/octet-stream"
                head = f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {left}\r\n\r\n"
                writer.write(head.encode())
                while left:
                    writer.write(PIECE[: min(left, len(PIECE))])
                    left -= min(left, len(PIECE))
                    await writer.drain()
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(size: int) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer, size)

    listening = await asyncio.start_server(one, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until who started us is gone


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
