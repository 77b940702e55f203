"""Calls, answers, their headers, and bodies that are read whole."""

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st

from trio2o.message import (
    Aborted,
    Answer,
    Call,
    Headers,
    end_to_end,
    header,
    read_answer,
    whole,
    with_header,
    without,
)

NAMES = st.sampled_from([b"X-A", b"x-a", b"X-B", b"Content-Type", b"content-TYPE", b"\xe9"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=3)), max_size=8).map(tuple)
LOWER = NAMES.map(bytes.lower)


class Pieces:
    """A stream of these pieces; an exception among them is raised."""

    length = None

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)
        self.aborted: list[Exception] = []

    async def read(self) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def abort(self, why: Exception) -> None:
        self.aborted.append(why)


@pytest.mark.parametrize(
    ("query", "target"), [(b"", b"/a"), (b"x=%20&y", b"/a?x=%20&y"), (b"?", b"/a??")]
)
def test_a_target_is_the_path_with_its_query(query: bytes, target: bytes) -> None:
    assert Call("GET", b"/a", query).target == target


@pytest.mark.parametrize(
    ("status", "ok"),
    [(100, False), (199, False), (200, True), (299, True), (300, False), (404, False)],
)
def test_an_answer_is_fine_if_its_status_begins_with_2(status: int, ok: bool) -> None:
    assert Answer(status).ok is ok


def test_the_first_header_of_a_name_counts() -> None:
    headers = ((b"X-B", b"0"), (b"x-A", b"1"), (b"X-a", b"2"))
    assert (header(headers, b"X-A"), header(headers, b"x-c")) == (b"1", None)


def test_an_empty_header_is_there_all_the_same() -> None:
    assert header(((b"X-A", b""), (b"X-A", b"1")), b"X-A") == b""


@given(HEADERS, LOWER)
def test_a_header_that_was_taken_away_is_gone_and_the_others_stay(
    headers: Headers, name: bytes
) -> None:
    left = without(headers, [name])
    assert header(left, name) is None
    assert left == tuple(item for item in headers if item[0].lower() != name)
    assert without(left, [name]) == left


@given(HEADERS, st.lists(LOWER, max_size=3))
def test_headers_are_taken_away_all_at_once_or_one_by_one(
    headers: Headers, names: list[bytes]
) -> None:
    left = headers
    for name in names:
        left = without(left, [name])
    assert without(headers, iter(names)) == left


@given(HEADERS, NAMES, st.binary(max_size=3))
def test_a_header_that_was_set_is_the_only_one_of_its_name(
    headers: Headers, name: bytes, value: bytes
) -> None:
    found = with_header(headers, name, value)
    assert [item for item in found if item[0].lower() == name.lower()] == [(name, value)]
    assert found[:-1] == without(headers, [name.lower()])
    assert with_header(found, name, value) == found


ONE_HOP = ["Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Transfer-Encoding"]
ONE_HOP += ["Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection"]


@pytest.mark.parametrize("name", ONE_HOP)
def test_a_header_of_one_hop_ends_there_whatever_its_case(name: str) -> None:
    kept = (b"X-A", b"1")
    for spelled in (name, name.upper(), name.lower()):
        assert end_to_end(((spelled.encode(), b"x"), kept)) == (kept,)


@pytest.mark.parametrize(
    "named", [[b"x-a"], [b"close, X-A"], [b"Keep-Alive ,\tX-a"], [b"", b"X-A,"]]
)
def test_a_header_that_connection_names_ends_there_too(named: list[bytes]) -> None:
    told = tuple((b"Connection", value) for value in named)
    headers = ((b"X-A", b"1"), (b"X-Ab", b"2"), *told, (b"x-A", b"3"))
    assert end_to_end(headers) == ((b"X-Ab", b"2"),)


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=6), st.integers(0, 30))
def test_a_body_is_read_whole_if_and_only_if_it_fits(pieces: list[bytes], limit: int) -> None:
    stream, text = Pieces(*pieces), b"".join(pieces)
    if len(text) <= limit:
        assert result_of(whole(stream, limit)) == text
        assert stream.aborted == []
    else:
        with pytest.raises(Aborted, match=f"^a body of more than {limit} bytes$") as caught:
            result_of(whole(stream, limit))
        assert stream.aborted == [caught.value]


def test_a_body_that_grows_too_large_is_read_no_further() -> None:
    stream = Pieces(b"abc", b"de", b"f")
    with pytest.raises(Aborted):
        result_of(whole(stream, 4))
    assert stream.pieces == [b"f"]


def test_a_body_in_memory_is_whole_already() -> None:
    assert result_of(whole(b"abc", 1)) == b"abc"


def test_a_body_that_breaks_off_raises_what_it_raised() -> None:
    why = Aborted("gone")
    with pytest.raises(Aborted) as caught:
        result_of(whole(Pieces(b"abc", why), 9))
    assert caught.value is why


def test_an_answer_that_was_read_is_the_same_but_for_its_body() -> None:
    headers = ((b"X-A", b"1"), (b"x-a", b"2"))
    read = result_of(read_answer(Answer(203, headers, Pieces(b"ab", b"c"))))
    assert read == Answer(203, headers, b"abc")
    assert result_of(read_answer(read)) is read


def test_an_answer_beyond_the_limit_is_not_read() -> None:
    body = Pieces(b"abc")
    with pytest.raises(Aborted, match="more than 2 bytes"):
        result_of(read_answer(Answer(200, (), body), 2))
    assert len(body.aborted) == 1
