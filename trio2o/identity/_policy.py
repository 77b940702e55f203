"""Rights, where only the top can decide: oslo.policy with the services' own rule names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from trio2o.domain.errors import Forbidden
from trio2o.domain.values import Caller

ADMIN = "rule:admin_required"


class Policy:
    """Rules by name. Those an operator's file does not name have the default: admin."""

    def __init__(self, names: Iterable[str], file: str = "") -> None:
        """Raises `ValueError` for a file that is not there, or has a rule which would call out
        over HTTP."""
        if file and not Path(file).is_file():
            raise ValueError(f"identity.policy_file: {file}: no such file")
        conf = cfg.ConfigOpts()
        conf([], project="trio2o", default_config_files=[], default_config_dirs=[])
        self._enforcer = policy.Enforcer(conf, policy_file=file or None)
        self._enforcer.suppress_deprecation_warnings = True
        self._enforcer.register_default(policy.RuleDefault("admin_required", "role:admin"))
        for name in sorted(set(names)):
            self._enforcer.register_default(policy.RuleDefault(name, ADMIN))
        self._enforcer.load_rules()
        for name, rule in self._enforcer.rules.items():
            if "http:" in str(rule) or "https:" in str(rule):
                raise ValueError(f"policy rule {name} calls out over HTTP, which would block us")

    def check(self, rule: str, caller: Caller) -> None:
        """Raise `Forbidden` (in Nova's words) if the caller may not."""
        credentials: dict[str, Any] = {
            "user_id": caller.user_id,
            "project_id": caller.project_id,
            "domain_id": caller.domain_id,
            "system_scope": caller.system_scope,
            "roles": list(caller.roles),
            "is_admin": caller.is_admin,
        }
        target = {"project_id": caller.project_id, "user_id": caller.user_id}
        if not self._enforcer.enforce(rule, target, credentials):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
