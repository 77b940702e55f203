"""Audit: one CADF event (DMTF DSP0262) for each call that may change something."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from trio2o.telemetry._masking import masked
from trio2o.telemetry._trace import Ended, stamp

READS = frozenset(("GET", "HEAD", "OPTIONS"))

_ACTIONS = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}


def event(ended: Ended) -> dict[str, Any]:
    """The event of a call that ended."""
    trace, row, caller = ended.trace, ended.trace.row, ended.trace.caller
    action = _ACTIONS.get(trace.method, "unknown")
    if trace.chosen and row.action:
        action = f"update/{row.action}"
    initiator: dict[str, Any] = {
        "id": caller.user_id if caller and caller.user_id else "unknown",
        "typeURI": "service/security/account/user",
        "host": {"address": trace.peer or "unknown"},
        "request_id": trace.request_id,
    }
    if caller and caller.user_id:
        initiator |= {
            "name": caller.user_name,
            "domain_id": caller.user_domain_id,
            "project_id": caller.project_id,
            "credential": {"token": "***", "identity_status": "Confirmed"},
        }
    return {
        "typeURI": "http://schemas.dmtf.org/cloud/audit/1.0/event",
        "id": str(uuid.uuid4()),
        "eventType": "activity",
        "eventTime": stamp(ended.at),
        "action": action,
        "outcome": _outcome(ended.status),
        "reason": {"reasonType": "HTTP", "reasonCode": str(ended.status)},
        "initiator": initiator,
        "target": {
            "id": _target(ended),
            "typeURI": _kind(trace.face, row),
            "host": {"id": ",".join(trace.pods) or "unknown"},
        },
        "observer": {"id": "trio2o", "typeURI": f"service/{trace.face}"},
        "requestPath": masked(trace.path, trace.query),
        "tags": [f"correlation_id?value={trace.request_id}"],
    }


def _outcome(status: int) -> str:
    """What became of a call that a pod did not answer in time is not known."""
    if status == 504:
        return "unknown"
    return "success" if status < 400 else "failure"


class _Made(msgspec.Struct):
    id: str = ""


def _target(ended: Ended) -> str:
    """The id in the path, or that of what was made."""
    if ended.trace.ids:
        return ended.trace.ids[-1]
    try:
        (made,) = msgspec.json.decode(ended.made, type=dict[str, _Made]).values()
        return made.id or "unknown"
    except (msgspec.MsgspecError, ValueError):
        return "unknown"


def _kind(face: str, row: Any) -> str:
    if row is None:
        return "unknown"
    words = [word for word in row.path.split("/")[2:] if word and not word.startswith("{")]
    return "/".join(("service", face, *words))
