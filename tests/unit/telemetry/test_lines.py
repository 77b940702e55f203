"""Lines are written by a thread of their own; what cannot be written is counted."""

import json
from pathlib import Path

import pytest

from trio2o.telemetry import _lines
from trio2o.telemetry._lines import Lines


def encode(item: object) -> bytes:
    return json.dumps(item).encode()


def test_what_is_put_is_there_in_order_after_the_close(tmp_path: Path) -> None:
    lines = Lines(str(tmp_path / "log"), encode)
    for number in range(10_000):
        lines.put(number)
    lines.close()
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(10_000)]
    assert lines.lost == 0


def test_lines_go_behind_those_that_are_there(tmp_path: Path) -> None:
    for word in ("one", "two"):
        lines = Lines(str(tmp_path / "log"), encode)
        lines.put(word)
        lines.close()
    assert (tmp_path / "log").read_text() == '"one"\n"two"\n'


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    Lines(str(tmp_path / "log"), encode).close()
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    lines = Lines(str(tmp_path / "log"), encode)
    (tmp_path / "log").rename(tmp_path / "log.1")
    lines.reopen()
    lines.put("new")
    lines.close()
    assert (tmp_path / "log").read_text() == '"new"\n'
    assert (tmp_path / "log.1").read_text() == ""


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Lines(str(tmp_path / "no" / "log"), encode)


def test_a_line_that_cannot_be_made_is_counted_and_the_others_are_written(tmp_path: Path) -> None:
    lines = Lines(str(tmp_path / "log"), encode)
    lines.put(object())
    lines.put("fine")
    lines.close()
    assert (tmp_path / "log").read_text() == '"fine"\n'
    assert lines.lost == 1


def test_a_full_disk_costs_lines_and_no_call() -> None:
    lines = Lines("/dev/full", encode)
    for _ in range(3):
        lines.put("x")
    lines.close()
    assert lines.lost == 3


def test_no_more_lines_wait_than_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lines, "MOST", 10)
    monkeypatch.setattr(_lines, "GATHER", 60)
    lines = Lines(str(tmp_path / "log"), encode)
    for number in range(25):
        lines.put(number)
    lines.close()
    assert len((tmp_path / "log").read_text().split()) + lines.lost == 25
    assert lines.lost >= 5
