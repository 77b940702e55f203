"""Rights: the services' own rule names, admin unless an operator's file says otherwise."""

from pathlib import Path

import pytest
from attrs import evolve

from trio2o.domain.errors import Forbidden
from trio2o.domain.values import Caller
from trio2o.identity import ADMIN as ADMINS
from trio2o.identity import Policy

RULE, OTHER = "os_compute_api:servers:detail:get_all_tenants", "volume:get_all"
ME = Caller("t", "me", "p1", ("member",), 9e9)
ADMIN = evolve(ME, roles=("member", "admin"))


def allowed(policy: Policy, rule: str, caller: Caller) -> bool:
    try:
        policy.check(rule, caller)
    except Forbidden as refused:
        assert refused.message == f"Policy doesn't allow {rule} to be performed."
        return False
    return True


def test_a_rule_is_for_admins_by_default() -> None:
    policy = Policy({RULE: ADMINS, OTHER: ADMINS})
    assert allowed(policy, RULE, ADMIN) and allowed(policy, OTHER, ADMIN)
    assert not allowed(policy, RULE, ME)
    assert not allowed(policy, RULE, evolve(ME, roles=()))
    assert not allowed(policy, RULE, evolve(ME, roles=("administrator",)))


def test_a_rule_that_nobody_registered_allows_nothing() -> None:
    assert not allowed(Policy({RULE: ADMINS}), "no:such:rule", ADMIN)


def written(path: Path, text: str) -> Policy:
    file = path / "policy.yaml"
    file.write_text(text)
    return Policy({RULE: ADMINS, OTHER: ADMINS}, str(file))


def test_an_operators_file_overrides_the_rules_that_it_names(tmp_path: Path) -> None:
    policy = written(tmp_path, f'"{RULE}": "role:reader"\n')
    assert allowed(policy, RULE, evolve(ME, roles=("reader",)))
    assert not allowed(policy, RULE, ADMIN)
    assert allowed(policy, OTHER, ADMIN) and not allowed(policy, OTHER, ME)


def test_a_file_may_redefine_who_is_an_admin(tmp_path: Path) -> None:
    policy = written(tmp_path, '"admin_required": "role:boss"\n')
    assert allowed(policy, RULE, evolve(ME, roles=("boss",)))
    assert not allowed(policy, RULE, ADMIN)


@pytest.mark.parametrize(
    ("rule", "caller", "other"),
    [
        ("project_id:%(project_id)s", ME, None),
        ("user_id:me", ME, evolve(ME, user_id="you")),
        ("project_id:p1", ME, evolve(ME, project_id="p2")),
        ("domain_id:d1", evolve(ME, domain_id="d1"), ME),
        ("system_scope:all", evolve(ME, system_scope="all"), ME),
        ("is_admin:True", ADMIN, ME),
        ("@", ME, None),
        ("role:member and not role:admin", ME, ADMIN),
    ],
)
def test_a_file_may_ask_for_all_that_is_known_of_a_caller(
    tmp_path: Path, rule: str, caller: Caller, other: Caller | None
) -> None:
    policy = written(tmp_path, f'"{RULE}": "{rule}"\n')
    assert allowed(policy, RULE, caller)
    assert other is None or not allowed(policy, RULE, other)


def test_an_exclamation_mark_refuses_all(tmp_path: Path) -> None:
    assert not allowed(written(tmp_path, f'"{RULE}": "!"\n'), RULE, ADMIN)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("rule", ["{}://a/x", "role:admin or {}://a/x", "not {}://a/x"])
def test_a_rule_that_calls_out_is_refused(tmp_path: Path, scheme: str, rule: str) -> None:
    words = f"policy rule {OTHER} calls out over HTTP, which would block us"
    with pytest.raises(ValueError, match=words):
        written(tmp_path, f'"{OTHER}": "{rule.format(scheme)}"\n')
