"""Tokens of callers: validated once, believed for a while, and access rules."""

from typing import Any

import pytest
from attrs import evolve
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from stub_keystone import START, Response, World, token
from twisted.internet.defer import Deferred

from trio2o.domain.errors import Unauthorized
from trio2o.domain.values import AccessRule, Caller
from trio2o.identity import KeystoneUnavailable, Tokens, _tokens, check_access_rules


class Site(World):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tokens(self.now, self.keystone, 300.0)
        self.agent.tokens["t"] = token()

    def caller(self, text: str = "t", **how: Any) -> Caller:
        return result_of(self.tokens.caller(text, **how))

    @property
    def asked(self) -> int:
        return self.agent.count("GET")

    def refused(self, text: str = "t", **how: Any) -> bool:
        with pytest.raises(Unauthorized, match="requires authentication"):
            self.caller(text, **how)
        return True


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_caller_is_what_keystone_says_of_the_token(site: Site) -> None:
    assert site.caller() == Caller(
        token="t",
        user_id="me",
        user_name="My",
        user_domain_id="d1",
        project_id="p1",
        project_name="P",
        project_domain_id="d2",
        roles=("member", "reader"),
        expires_at=START + 3600,
    )


def test_the_token_is_validated_with_our_own_and_for_access_rules(site: Site) -> None:
    site.caller()
    call = site.agent.calls[-1]
    assert (call.method, call.path) == ("GET", "/auth/tokens")
    assert call.headers["x-auth-token"] == "own-1"
    assert call.headers["x-subject-token"] == "t"
    assert call.headers["openstack-identity-access-rules"] == "1.0"


def test_tokens_of_a_domain_and_of_the_system_have_their_scope(site: Site) -> None:
    site.agent.tokens["d"] = token(project={}, domain={"id": "dom"})
    site.agent.tokens["s"] = token(project={}, system={"all": True})
    site.agent.tokens["u"] = {"token": {"expires_at": token()["token"]["expires_at"]}}
    assert (site.caller("d").domain_id, site.caller("d").project_id) == ("dom", "")
    assert site.caller("s").system_scope == "all"
    assert (site.caller("u").roles, site.caller("u").project_id) == ((), "")


def test_a_token_is_believed_for_five_minutes(site: Site) -> None:
    site.caller()
    site.clock.advance(299.9)
    del site.agent.tokens["t"]
    assert site.caller().user_id == "me"
    assert site.asked == 1
    site.clock.advance(0.1)
    assert site.refused()
    assert site.asked == 2


def test_a_token_that_ends_is_refused_at_once_without_asking(site: Site) -> None:
    site.agent.tokens["t"] = token(60)
    site.caller()
    site.clock.advance(59.9)
    site.caller()
    site.clock.advance(0.1)
    assert site.refused()
    assert site.asked == 1


@pytest.mark.parametrize("status", [400, 404, 413, 414, 431])
def test_a_refused_token_is_remembered_for_ten_seconds(site: Site, status: int) -> None:
    site.agent.say = lambda call: Response(status) if call.method == "GET" else None
    assert site.refused("bad") and site.refused("bad")
    site.clock.advance(9.9)
    assert site.refused("bad")
    assert site.asked == 1
    site.clock.advance(0.1)
    site.agent.say = lambda call: None
    site.agent.tokens["bad"] = token()
    assert site.caller("bad").user_id == "me"


def test_a_refused_token_says_nothing_of_others(site: Site) -> None:
    assert site.refused("bad")
    assert site.caller().token == "t"


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
def test_what_is_keystones_trouble_never_refuses_the_caller(site: Site, status: int) -> None:
    site.agent.say = lambda call: Response(status) if call.method == "GET" else None
    with pytest.raises(KeystoneUnavailable):
        site.caller()
    site.agent.say = lambda call: None
    assert site.caller().user_id == "me"


def test_our_own_credential_being_refused_never_refuses_the_caller(site: Site) -> None:
    site.agent.say = lambda call: Response(401)
    with pytest.raises(KeystoneUnavailable) as caught:
        site.caller()
    assert caught.value.status == 503
    assert caught.value.why == "our own credential was refused (401)"


def test_our_own_token_being_refused_is_mended_unseen(site: Site) -> None:
    site.caller()
    site.agent.refused.add("own-1")
    site.agent.tokens["other"] = token()
    assert site.caller("other").user_id == "me"
    assert site.agent.own == ["own-1", "own-2"]


@pytest.mark.parametrize("body", [None, [], {}, {"token": {}}, {"token": {"expires_at": 1}}])
def test_a_token_of_another_shape_is_keystones_trouble(site: Site, body: Any) -> None:
    site.agent.say = lambda call: Response(200, body) if call.method == "GET" else None
    with pytest.raises(KeystoneUnavailable):
        site.caller()


def test_one_validation_is_in_flight_for_a_token(site: Site) -> None:
    site.caller("t")
    site.clock.advance(300)
    waiting: Deferred[Any] = Deferred()
    site.agent.say = lambda call: waiting if call.method == "GET" else None
    asked = [Deferred.fromCoroutine(site.tokens.caller("t")) for _ in range(5)]
    assert site.asked == 2
    waiting.callback(Response(200, token()))
    assert {result_of(one).token for one in asked} == {"t"}
    assert site.asked == 2


def test_all_who_wait_share_a_refusal(site: Site) -> None:
    waiting: Deferred[Any] = Deferred()
    site.agent.say = lambda call: waiting if call.method == "GET" else None
    asked = [Deferred.fromCoroutine(site.tokens.caller("x")) for _ in range(2)]
    waiting.callback(Response(404))
    for one in asked:
        with pytest.raises(Unauthorized):
            result_of(one)
    assert site.asked == 1


def test_who_leaves_does_not_end_the_validation_of_others(site: Site) -> None:
    waiting: Deferred[Any] = Deferred()
    site.agent.say = lambda call: waiting if call.method == "GET" else None
    first, second = (Deferred.fromCoroutine(site.tokens.caller("t")) for _ in range(2))
    first.addErrback(lambda _: None)
    first.cancel()
    waiting.callback(Response(200, token()))
    assert result_of(second).user_id == "me"


def test_an_expired_token_is_good_beside_a_service_token_alone(site: Site) -> None:
    site.agent.tokens["t"] = token(-60)
    assert site.caller(allow_expired=True).expires_at == START - 60
    assert site.agent.calls[-1].path == "/auth/tokens?allow_expired=1"
    del site.agent.tokens["t"]
    assert site.caller(allow_expired=True).user_id == "me"
    assert site.refused()


def test_a_token_refused_as_expired_is_asked_for_anew_beside_a_service_token(site: Site) -> None:
    site.agent.say = lambda call: (
        Response(404) if call.path == "/auth/tokens" and (call.method == "GET") else None
    )
    assert site.refused()
    assert site.caller(allow_expired=True).user_id == "me"
    assert site.refused()
    assert site.asked == 2


def test_memory_holds_no_token_and_a_bounded_number(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tokens, "KEPT", 2)
    for text in ("a", "b", "c"):
        site.agent.tokens[text] = token()
    site.caller("a"), site.caller("b"), site.caller("a"), site.caller("c")
    assert site.asked == 3
    site.caller("a"), site.caller("c")
    assert site.asked == 3
    site.caller("b")
    assert site.asked == 4
    assert all(known.caller and known.caller.token == "" for known in site.tokens._known.values())


def test_tokens_of_any_text_are_told_apart(site: Site) -> None:
    site.agent.tokens = {"\u00e9": token(user={"id": "one"}), "e": token(user={"id": "two"})}
    site.agent.say = lambda call: None
    assert site.caller("e").user_id == "two"
    assert site.refused("e\0expired")


# access rules

ME = Caller("t", "me", "p", (), 9e9)


def allowed(path: str, *rules: tuple[str, str, str], method: str = "GET") -> bool:
    me = evolve(ME, access_rules=tuple(AccessRule(*rule) for rule in rules))
    try:
        check_access_rules(me, ("compute", "nova"), method, path)
    except Unauthorized:
        return False
    return True


def test_who_has_no_access_rules_may_call_all_and_who_has_none_set_nothing() -> None:
    check_access_rules(ME, ("compute",), "GET", "/v2.1/servers")
    assert not allowed("/v2.1/servers")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v2.1/servers", "/v2.1/servers", True),
        ("/v2.1/servers", "/v2.1/servers/", False),
        ("/v2.1/servers", "/v2x1/servers", False),
        ("/v2.1/servers/*", "/v2.1/servers/a", True),
        ("/v2.1/servers/*", "/v2.1/servers/", False),
        ("/v2.1/servers/*", "/v2.1/servers/a/b", False),
        ("/v2.1/servers/*/ips", "/v2.1/servers/a/ips", True),
        ("/v2.1/servers/{server_id}", "/v2.1/servers/a", True),
        ("/v2.1/servers/{server_id}", "/v2.1/servers/a/b", False),
        ("/v2.1/**", "/v2.1/servers/a/b", True),
        ("/v2.1/**", "/v2.1", False),
        ("**", "/anything/at/all", True),
        ("/v2.1/**/ips", "/v2.1/servers/a/ips", True),
        ("/v2.1/servers/a+", "/v2.1/servers/aa", False),
    ],
)
def test_a_rules_path_stands_for_segments(pattern: str, path: str, fits: bool) -> None:
    assert allowed(path, ("compute", "GET", pattern)) is fits


def test_a_rule_is_for_its_service_and_method() -> None:
    assert allowed("/a", ("nova", "GET", "/a"))
    assert not allowed("/a", ("volume", "GET", "/a"))
    assert not allowed("/a", ("compute", "POST", "/a"))
    assert allowed("/a", ("volume", "GET", "/a"), ("compute", "GET", "/a"))


@given(st.text("ab/.*+?()[]{}|\\^$", max_size=8), st.text("ab/.", max_size=8))
def test_a_rule_without_stars_fits_itself_alone(pattern: str, path: str) -> None:
    plain = pattern.replace("*", "").replace("{", "")
    assert allowed(plain, ("compute", "GET", plain))
    assert allowed(path, ("compute", "GET", plain)) is (path == plain)
