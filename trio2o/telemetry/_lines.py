"""Lines appended to a file by a thread of its own: no call waits for a disk or a pipe."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from txaio.tx import make_logger

log = make_logger()

GATHER = 0.1
"""Seconds for which lines are gathered into one write."""

MOST = 50_000
"""Lines that may wait; beyond, they are lost and counted."""


class Lines:
    """A file of lines, or standard output ("-"). What cannot be written is counted in `lost`."""

    def __init__(self, path: str, encode: Callable[[Any], bytes]) -> None:
        """`encode` makes a line, without its end, of what is `put`. Raises `OSError`."""
        self._path, self._encode = path, encode
        self.lost = 0
        self._waiting: deque[Any] = deque()
        self._wake, self._end = threading.Event(), threading.Event()
        self._reopen = self._failing = False
        self._file = self._open()
        self._thread = threading.Thread(target=self._run, name=f"lines {path}", daemon=True)
        self._thread.start()

    def _open(self) -> int:
        if self._path == "-":
            return os.dup(1)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def put(self, item: Any) -> None:
        waiting = self._waiting
        if len(waiting) >= MOST:
            self.lost += 1
            return
        waiting.append(item)
        if len(waiting) == 1:
            self._wake.set()

    def reopen(self) -> None:
        """The file may have been moved away (logrotate)."""
        self._reopen = True

    def close(self) -> None:
        """Write what waits, and end."""
        self._end.set()
        self._wake.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._end.is_set():
            self._wake.wait()
            self._wake.clear()
            self._end.wait(GATHER)
            self._write()
        os.close(self._file)

    def _write(self) -> None:
        lines: list[bytes] = []
        while self._waiting:
            item = self._waiting.popleft()
            try:
                lines.append(self._encode(item))
            except Exception:
                self._lose(1, "a line could not be made")
        if not lines:
            return
        try:
            if self._reopen:
                fresh = self._open()
                os.close(self._file)
                self._file, self._reopen = fresh, False
            left = memoryview(b"\n".join(lines) + b"\n")
            while left:  # one write, but where a pipe or a full disk takes less
                left = left[os.write(self._file, left) :]
            self._failing = False
        except OSError as error:
            self._lose(len(lines), str(error))

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        if not self._failing:
            self._failing = True
            log.error("{path}: lines are lost: {why}", path=self._path, why=why)
