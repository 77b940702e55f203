"""Coroutines side by side."""

import pytest
from helpers import result_of
from twisted.internet.defer import CancelledError, Deferred

from trio2o.domain.tasks import Fresh, Once, together


def test_who_asks_meanwhile_shares_the_result() -> None:
    once: Once[str, int] = Once()
    answer: Deferred[int] = Deferred()
    runs = []

    async def run() -> int:
        runs.append(1)
        return await answer

    asked = [Deferred.fromCoroutine(once.run("key", run)) for _ in range(3)]
    answer.callback(7)
    assert [result_of(one) for one in asked] == [7, 7, 7]
    assert len(runs) == 1


def test_who_asks_later_asks_anew() -> None:
    once: Once[str, int] = Once()
    runs: list[int] = []

    async def run() -> int:
        runs.append(1)
        return len(runs)

    assert result_of(once.run("key", run)) == 1
    assert result_of(once.run("key", run)) == 2


def test_all_get_the_error_and_the_next_may_try_again() -> None:
    once: Once[str, int] = Once()
    answer: Deferred[int] = Deferred()

    async def run() -> int:
        return await answer

    asked = [Deferred.fromCoroutine(once.run("key", run)) for _ in range(2)]
    answer.errback(KeyError("gone"))
    for one in asked:
        with pytest.raises(KeyError):
            result_of(one)

    async def fine() -> int:
        return 1

    assert result_of(once.run("key", fine)) == 1


def test_who_leaves_does_not_end_it_for_the_others() -> None:
    once: Once[str, int] = Once()
    answer: Deferred[int] = Deferred()

    async def run() -> int:
        return await answer

    first, second = (Deferred.fromCoroutine(once.run("key", run)) for _ in range(2))
    first.cancel()
    with pytest.raises(CancelledError):
        result_of(first)
    answer.callback(3)
    assert result_of(second) == 3


def test_results_come_in_the_order_of_the_runs() -> None:
    answers: list[Deferred[int]] = [Deferred(), Deferred()]

    async def run(number: int) -> int:
        return await answers[number]

    both = Deferred.fromCoroutine(together(run(n) for n in range(2)))
    answers[1].callback(1)
    answers[0].callback(0)
    assert result_of(both) == [0, 1]


def test_the_first_error_is_raised_as_it_was() -> None:
    async def fails() -> int:
        raise KeyError("it")

    async def fine() -> int:
        return 1

    with pytest.raises(KeyError):
        result_of(together([fine(), fails()]))


def test_who_asks_while_one_runs_shares_the_run_behind_it() -> None:
    fresh: Fresh[str] = Fresh()
    answers: list[Deferred[None]] = []

    async def run() -> None:
        answers.append(Deferred())
        await answers[-1]

    first, *later = [Deferred.fromCoroutine(fresh.run("key", run)) for _ in range(4)]
    assert len(answers) == 1
    answers[0].callback(None)
    assert result_of(first) is None
    assert len(answers) == 2 and not any(one.called for one in later)
    answers[1].callback(None)
    assert [result_of(one) for one in later] == [None] * 3
    assert len(answers) == 2
