"""Commands as a person types them: shown, run, and what came back shown in short."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "var" / "demo"

LINES, COLUMNS = 16, 118
"""What is shown of an answer at most."""

COMMAND_SECONDS = 300


class Unexpected(Exception):
    """A step did not go as it should. The text says what was seen."""


@dataclass
class Answer:
    """What a command wrote."""

    out: str
    err: str = ""

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows of the table that the client drew, by the names of their columns."""
        lines = [line for line in self.out.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
        return [dict(zip(cells[0], row, strict=False)) for row in cells[1:]]

    @property
    def fields(self) -> dict[str, str]:
        """A table of names and values (`show`, `create`) as one dictionary."""
        return {name: value for name, value, *_ in (list(row.values()) for row in self.rows)}

    def names(self) -> set[str]:
        """The names in a list."""
        return {row.get("Name") or row["name"] for row in self.rows}


@dataclass
class Shell:
    """A terminal in the checkout, with nothing of the caller's OpenStack settings in it."""

    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours = ("OS_", "TRIO2O_", "MAKE", "MFLAGS")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        self.env = {name: text for name, text in kept.items() if name not in ("AS", "REGION")}

    def run(self, command: str, *, fails: bool = False, shown: int = LINES) -> Answer:
        """Show the command and its answer. Raises `Unexpected` unless it ends as it should."""
        print(f"$ {command}", flush=True)
        status, answer = self._run(command)
        _show(answer.text, shown)
        if (status != 0) != fails:
            expected = "an error was expected" if fails else f"exit status {status}"
            raise Unexpected(f"{expected}: {command}")
        return answer

    def let(self, name: str, command: str) -> str:
        """Keep what a command writes in a variable of the shell."""
        print(f"$ {name}=$({command})", flush=True)
        status, answer = self._run(command)
        if status != 0 or not answer.out.strip():
            _show(answer.text, LINES)
            raise Unexpected(f"exit status {status}: {command}")
        self.env[name] = answer.out.strip()
        return self.env[name]

    def until(self, command: str, wanted: str, seconds: float = 60) -> None:
        """Repeat a command until it writes just this."""
        self._repeat(command, lambda out: out.strip() == wanted, f"not {wanted}", seconds)

    def until_gone(self, command: str, prefix: str, seconds: float = 30) -> None:
        """Repeat a command that lists names until none of them begins so."""

        def gone(out: str) -> bool:
            return not any(line.startswith(prefix) for line in out.splitlines())

        self._repeat(command, gone, "not all are gone", seconds)

    def _repeat(
        self, command: str, fine: Callable[[str], bool], otherwise: str, seconds: float
    ) -> None:
        print(f"$ {command}", flush=True)
        end = time.monotonic() + seconds
        while True:
            status, answer = self._run(command)
            good = status == 0 and fine(answer.out)
            if good or time.monotonic() > end:
                break
            time.sleep(0.5)
        _show(answer.text, LINES)
        if not good:
            raise Unexpected(f"{otherwise}: {command}")

    def source(self, command: str) -> None:
        """Evaluate what a command writes, and keep the variables that it sets."""
        print(f'$ eval "$({command})"\n', flush=True)
        status, answer = self._run(f'set -e; eval "$({command})"; env -0')
        if status != 0:
            raise Unexpected(f"{command}: {answer.text.strip()}")
        pairs = [item.partition("=") for item in answer.out.split("\0") if item]
        self.env = {name: text for name, _, text in pairs if name != "_"}

    def _run(self, command: str) -> tuple[int, Answer]:
        done = subprocess.run(
            ["timeout", str(COMMAND_SECONDS), "bash", "-c", command],
            cwd=CHECKOUT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,  # what it leaves running outlives the demo and its terminal
        )
        return done.returncode, Answer(done.stdout, done.stderr)


def _show(text: str, limit: int) -> None:
    lines = [piece for line in text.strip("\n").splitlines() for piece in _fitting(line.rstrip())]
    left_out = len(lines) - limit
    if left_out > 1:
        lines[limit:] = [f"... {left_out} more lines"]
    print("\n".join(lines), end="\n\n" if lines else "\n", flush=True)


def _fitting(line: str) -> list[str]:
    """A table's line is cut, any other goes on below."""
    if line[:1] in ("|", "+"):
        return [line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"]
    return [line[start : start + COLUMNS] for start in range(0, len(line), COLUMNS)] or [""]
