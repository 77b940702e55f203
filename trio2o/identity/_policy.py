"""Rights, where only the top can decide: oslo.policy with the services' own rule names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trio2o.domain.errors import Forbidden
from trio2o.domain.values import Caller

ADMIN = "rule:admin_required"


class Policy:
    """Rules by name, with what holds where an operator's file does not name them.

    A file is read at once; where there is none, the rules are made when one is first asked for.
    """

    def __init__(self, rules: Mapping[str, str], file: str = "") -> None:
        """Raises `ValueError` for a file that is not there, or has a rule which would call out
        over HTTP."""
        if file and not Path(file).is_file():
            raise ValueError(f"identity.policy_file: {file}: no such file")
        self._rules, self._file = rules, file
        self._made: Any = None
        if file:
            for name, rule in self.load().rules.items():
                if "http:" in str(rule) or "https:" in str(rule):
                    why = f"policy rule {name} calls out over HTTP, which would block us"
                    raise ValueError(why)

    def load(self) -> Any:
        """The enforcer. To import it is a tenth of a start's work: that comes behind the start."""
        if self._made is None:
            from oslo_config import cfg
            from oslo_policy import policy

            conf = cfg.ConfigOpts()
            conf([], project="trio2o", default_config_files=[], default_config_dirs=[])
            made = self._made = policy.Enforcer(conf, policy_file=self._file or None)
            made.suppress_deprecation_warnings = True
            made.register_default(policy.RuleDefault("admin_required", "role:admin"))
            for name, default in self._rules.items():
                made.register_default(policy.RuleDefault(name, default))
            made.load_rules()
        return self._made

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
        if not self.load().enforce(rule, target, credentials):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
