"""Audit: one CADF event for each call that may change something."""

import json
from pathlib import Path
from typing import Any

import pytest

from trio2o.domain.values import Caller
from trio2o.telemetry import Ended, Telemetry, Trace
from trio2o.verbs import Operation, Reply

VERB = Reply(None)  # type: ignore[arg-type]

CREATE = Operation("POST", "/v1/{project}/things", VERB)
ACTION = Operation("POST", "/v1/things/{id}/action", VERB, action="reboot")
DELETE = Operation("DELETE", "/v1/things/{id}", VERB)
SHOW = Operation("GET", "/v1/things/{id}", VERB)
ME = Caller("my-token", "me", "my-project", ("member",), 9e9, "Me", user_domain_id="dom")


def ended(row: Operation | None, status: int = 202, **fields: Any) -> Ended:
    trace = Trace(
        "thing",
        row.method if row else "POST",
        b"/v1/things/7",
        b"",
        "203.0.113.7",
        "req-1",
        0.0,
        row,
        row is not None,
        fields.pop("ids", ("7",)),
        fields.pop("caller", ME),
        fields.pop("pods", ()),
        fields.pop("pod_seconds", 0.0),
    )
    return Ended(trace, status, 3, 0.5, 1_800_000_000.25, **fields)


def written(tmp_path: Path, *calls: Ended) -> tuple[list[Any], list[Any]]:
    """Lines of the access log and of the audit log."""
    telemetry = Telemetry(str(tmp_path / "access"), str(tmp_path / "audit"))
    for call in calls:
        telemetry.ended(call)
    telemetry.close()
    assert telemetry.lost == 0
    return tuple(  # type: ignore[return-value]
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("access", "audit")
    )


def test_an_event_has_what_cadf_asks_for(tmp_path: Path) -> None:
    _, (event,) = written(tmp_path, ended(ACTION, pods=("Pod1",)))
    assert event.pop("id")
    assert event == {
        "typeURI": "http://schemas.dmtf.org/cloud/audit/1.0/event",
        "eventType": "activity",
        "eventTime": "2027-01-15T08:00:00.250+00:00",
        "action": "update/reboot",
        "outcome": "success",
        "reason": {"reasonType": "HTTP", "reasonCode": "202"},
        "initiator": {
            "id": "me",
            "name": "Me",
            "typeURI": "service/security/account/user",
            "domain_id": "dom",
            "project_id": "my-project",
            "host": {"address": "203.0.113.7"},
            "request_id": "req-1",
            "credential": {"token": "***", "identity_status": "Confirmed"},
        },
        "target": {"id": "7", "typeURI": "service/thing/things/action", "host": {"id": "Pod1"}},
        "observer": {"id": "trio2o", "typeURI": "service/thing"},
        "requestPath": "/v1/things/7",
        "tags": ["correlation_id?value=req-1"],
    }


@pytest.mark.parametrize(
    ("made", "id"),
    [
        (b'{"thing": {"id": "new", "adminPass": "x"}}', "new"),
        (b'{"thing": {"id": 7}}', "unknown"),
        (b'{"thing": {}}', "unknown"),
        (b'{"thing": {"id": "a"}, "other": {"id": "b"}}', "unknown"),
        (b"[1]", "unknown"),
        (b"no json", "unknown"),
        (b"", "unknown"),
    ],
)
def test_what_was_made_is_named(tmp_path: Path, made: bytes, id: str) -> None:
    _, (event,) = written(tmp_path, ended(CREATE, ids=(), made=made))
    assert (event["action"], event["target"]["id"]) == ("create", id)
    assert event["target"]["typeURI"] == "service/thing/things"


@pytest.mark.parametrize(
    ("status", "outcome"), [(204, "success"), (404, "failure"), (503, "failure"), (504, "unknown")]
)
def test_an_outcome_is_unknown_where_the_pod_did_not_answer(
    tmp_path: Path, status: int, outcome: str
) -> None:
    _, (event,) = written(tmp_path, ended(DELETE, status))
    assert (event["action"], event["outcome"]) == ("delete", outcome)


def test_reads_are_in_the_access_log_alone(tmp_path: Path) -> None:
    access, audit = written(tmp_path, ended(SHOW, 200), ended(DELETE, 204))
    assert [line["method"] for line in access] == ["GET", "DELETE"]
    assert [event["action"] for event in audit] == ["delete"]


def test_who_is_not_known_is_unknown(tmp_path: Path) -> None:
    (line,), (event,) = written(tmp_path, ended(None, 401, caller=None, ids=()))
    assert event["initiator"]["id"] == "unknown" and "credential" not in event["initiator"]
    assert event["target"] == {"id": "unknown", "typeURI": "unknown", "host": {"id": "unknown"}}
    assert (line["user"], line["project"], line["operation"]) == ("", "", "")


def test_an_access_line_has_no_token(tmp_path: Path) -> None:
    (line,), _ = written(tmp_path, ended(ACTION, pods=("Pod1",), pod_seconds=0.25))
    assert line == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "face": "thing",
        "method": "POST",
        "path": "/v1/things/7",
        "status": 202,
        "bytes": 3,
        "seconds": 0.5,
        "pod": "Pod1",
        "pod_seconds": 0.25,
        "operation": "POST /v1/things/{id}/action reboot",
        "project": "my-project",
        "user": "me",
        "client": "203.0.113.7",
        "request_id": "req-1",
    }


def test_an_audit_log_that_cannot_be_written_fails_no_call() -> None:
    telemetry = Telemetry(audit_log="/dev/full")
    telemetry.ended(ended(DELETE))
    telemetry.close()
    assert telemetry.lost == 1
