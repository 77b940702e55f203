"""Tokens over time: what a cache may say at any moment, and renewals of our own credential."""

from typing import Any

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from stub_keystone import Call, Response, World, token
from test_catalog import endpoint, read
from test_tokens import Site
from twisted.internet.defer import CancelledError, Deferred

from trio2o.domain.errors import Unauthorized
from trio2o.identity import KeystoneUnavailable
from trio2o.identity._tokens import REFUSED

BELIEVED = 300.0


@pytest.fixture
def site() -> Site:
    return Site()


# callers

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 9.5, 10.0, 60.0, 299.5, 300.0, 400.0]),
        st.sampled_from(["ask", "ask", "ask", "revoke", "restore", "away"]),
    ),
    max_size=25,
)


@given(st.sampled_from([30.0, 310.0, 3600.0]), STEPS)
def test_what_is_said_of_a_token_was_true_not_too_long_ago(
    ends: float, steps: list[tuple[float, str]]
) -> None:
    """A model: since when Keystone would have said what it last said, and when that was."""
    site = Site()
    site.agent.tokens["t"] = token(ends)
    good, said, until, now = True, "", 0.0, 0.0
    for seconds, step in steps:
        site.clock.advance(seconds)
        now += seconds
        good = good and now < ends
        if not good:
            site.agent.tokens.pop("t", None)
        if step in ("revoke", "restore"):
            good = step == "restore" and now < ends
            site.agent.tokens.pop("t", None)
            if good:
                site.agent.tokens["t"] = token(ends)
            continue
        away = step == "away"
        site.agent.say = lambda call, away=away: Response(503) if away else None  # type: ignore[misc]
        asked = site.asked
        found = answer(site)
        if said == "good" and now >= ends:
            # refused from memory once; then Keystone says it
            assert found == "refused" or (found == "unavailable" and away)
            said = ""
        elif said and now < until:
            assert (found, site.asked) == (said, asked)
        elif away:
            assert found == "unavailable"
            said = ""
        else:
            assert (found, site.asked) == ("good" if good else "refused", asked + 1)
            said, until = found, now + (BELIEVED if good else REFUSED)


def answer(site: Site) -> str:
    try:
        caller = site.caller("t")
    except Unauthorized:
        return "refused"
    except KeystoneUnavailable:
        return "unavailable"
    assert (caller.token, caller.user_id) == ("t", "me")
    return "good"


def test_a_token_that_was_believed_outlives_keystone_for_as_long(site: Site) -> None:
    site.caller()
    site.agent.say = lambda call: Response(503)
    site.clock.advance(299.9)
    assert site.caller().user_id == "me"
    site.clock.advance(0.1)
    with pytest.raises(KeystoneUnavailable):
        site.caller()


def test_a_refusal_is_not_kept_from_what_keystone_could_not_say(site: Site) -> None:
    site.agent.say = lambda call: Response(503)
    for _ in range(2):
        with pytest.raises(KeystoneUnavailable):
            site.caller()
    assert site.agent.count("POST") == 2


def test_tokens_of_which_each_is_new_are_validated_side_by_side(site: Site) -> None:
    waiting: dict[str, Deferred[Any]] = {}

    def say(call: Call) -> Any:
        if call.method == "GET":
            return waiting.setdefault(call.headers["x-subject-token"], Deferred())
        return None

    site.agent.say = say
    asked = {text: Deferred.fromCoroutine(site.tokens.caller(text)) for text in ("a", "b")}
    assert sorted(waiting) == ["a", "b"]
    waiting["b"].callback(Response(200, token(user={"id": "bee"})))
    assert result_of(asked["b"]).user_id == "bee" and not asked["a"].called
    waiting["a"].callback(Response(404))
    with pytest.raises(Unauthorized):
        result_of(asked["a"])


def test_a_validation_that_all_have_left_is_kept_for_the_next(site: Site) -> None:
    waiting: Deferred[Any] = Deferred()
    site.agent.say = lambda call: waiting if call.method == "GET" else None
    left = Deferred.fromCoroutine(site.tokens.caller("t"))
    left.addErrback(lambda failure: failure.trap(CancelledError))
    left.cancel()
    waiting.callback(Response(200, token()))
    assert site.caller().user_id == "me"
    assert site.asked == 1


def test_many_callers_without_a_token_of_ours_share_one_request_for_it(site: Site) -> None:
    waiting: Deferred[Any] = Deferred()
    site.agent.say = lambda call: waiting if call.method == "POST" else None
    site.agent.tokens |= {text: token() for text in "abc"}
    asked = [Deferred.fromCoroutine(site.tokens.caller(text)) for text in "abc"]
    assert (site.agent.count("POST"), site.asked) == (1, 0)
    site.agent.own.append("own-1")
    waiting.callback(Response(201, token(), X_Subject_Token="own-1"))
    assert [result_of(one).token for one in asked] == ["a", "b", "c"]


def test_a_token_that_ended_by_our_own_clock_is_refused_at_once(site: Site) -> None:
    site.agent.tokens["t"] = token(-1)
    assert site.refused()


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), min_size=1))
def test_a_token_of_any_text_is_refused_and_no_more(text: str) -> None:
    site = Site()
    site.agent.tokens.clear()
    assert site.refused(text)


# our own


@pytest.fixture
def world() -> World:
    return World()


def test_a_refusal_of_an_older_token_does_not_throw_the_new_one_away(world: World) -> None:
    replies: list[Deferred[Any]] = []

    def say(call: Call) -> Any:
        if call.method == "GET" and call.headers["x-auth-token"] == "own-1":
            replies.append(Deferred())
            return replies[-1]
        return Response(200, {}) if call.method == "GET" else None

    world.agent.say = say
    asked = [Deferred.fromCoroutine(world.keystone.call("GET", "/things")) for _ in range(5)]
    for reply in replies:
        reply.callback(Response(401))
    assert [result_of(one).status for one in asked] == [200] * 5
    assert world.agent.own == ["own-1", "own-2"]


def test_a_token_of_ours_that_ends_soon_is_asked_for_each_time_and_used(world: World) -> None:
    world.agent.own_ends = 100.0
    assert [result_of(world.keystone.own_token()) for _ in range(2)] == ["own-1", "own-2"]


def test_a_renewal_that_fails_leaves_what_is_kept_for_other_projects(world: World) -> None:
    result_of(world.keystone.own_token("p1"))
    world.agent.say = lambda call: Response(503)
    with pytest.raises(KeystoneUnavailable):
        result_of(world.keystone.own_token())
    assert result_of(world.keystone.own_token("p1")) == "own-1"


def test_who_leaves_does_not_end_the_renewal_of_others(world: World) -> None:
    waiting: Deferred[Any] = Deferred()
    world.agent.say = lambda call: waiting
    left, waits = (Deferred.fromCoroutine(world.keystone.own_token()) for _ in range(2))
    left.addErrback(lambda failure: failure.trap(CancelledError))
    left.cancel()
    waiting.callback(Response(201, token(), X_Subject_Token="new"))
    assert result_of(waits) == "new"


def test_a_password_is_in_no_words_of_an_error(world: World) -> None:
    world.agent.say = lambda call: ValueError(call.body["auth"]["identity"]["password"])
    with pytest.raises(KeystoneUnavailable) as caught:
        result_of(world.keystone.own_token())
    assert "secret" not in caught.value.why + str(caught.value)


# the catalog


@pytest.mark.parametrize(
    "change",
    [
        {"regions": [{}]},
        {"regions": None},
        {"services": [{"id": "s1"}]},
        {"services": [None]},
        {"endpoints": [{"region_id": "Pod1"}]},
        {"endpoints": {"a": 1}},
    ],
)
def test_a_catalog_of_another_shape_is_unavailable_and_what_was_known_stays(change: Any) -> None:
    site = read(endpoint("s1", "http://a"))
    site.documents |= {"endpoints": [], "regions": []} | change
    with pytest.raises(KeystoneUnavailable):
        result_of(site.catalog.refresh())
    assert (site.url("compute"), site.catalog.regions) == ("http://a", {"Pod1", "Pod2"})


def test_a_catalog_says_whether_it_was_ever_read() -> None:
    site = read(endpoint("s1", "http://a"))
    assert site.catalog.loaded
    del site.documents["regions"]
    with pytest.raises(KeystoneUnavailable):
        result_of(site.catalog.refresh())
    assert site.catalog.loaded
    fresh = type(site.catalog)(site.keystone)
    with pytest.raises(KeystoneUnavailable):
        result_of(fresh.refresh())
    assert not fresh.loaded
