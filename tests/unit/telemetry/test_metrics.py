"""Metrics: what is counted, under which labels, and never under an id."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from trio2o.telemetry import Figure, Metrics
from trio2o.verbs import Operation, Reply

VERB = Reply(None)  # type: ignore[arg-type]

SHOW = Operation("GET", "/v1/things/{id}", VERB)
ACTION = Operation("POST", "/v1/things/{id}/action", VERB, action="reboot")


ORDER = ("face", "operation", "verb", "pod", "service", "kind", "status", "found")


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Values of one sample by their labels' values."""
    return {
        tuple(sample.labels[key] for key in ORDER if key in sample.labels): sample.value
        for family in parsed(metrics.text().decode())
        for sample in family.samples
        if sample.name == name
    }


def test_a_call_is_counted_by_face_operation_verb_pod_and_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 404):
        metrics.called("thing", SHOW, True, status, "Pod1", 0.3, 0.2)
    metrics.called("thing", ACTION, True, 202, "", 0.3, 0.0)
    assert samples(metrics, "trio2o_requests_total") == {
        ("thing", "GET /v1/things/{id}", "reply", "Pod1", "200"): 2,
        ("thing", "GET /v1/things/{id}", "reply", "Pod1", "404"): 1,
        ("thing", "POST /v1/things/{id}/action reboot", "reply", "", "202"): 1,
    }


def test_calls_that_no_operation_saw_are_one_series() -> None:
    metrics = Metrics()
    metrics.called("thing", None, False, 404, "", 0.1, 0.0)
    metrics.called("thing", ACTION, False, 400, "", 0.1, 0.0)
    assert set(samples(metrics, "trio2o_requests_total")) == {
        ("thing", "none", "none", "", "404"),
        ("thing", "POST /v1/things/{id}/action", "none", "", "400"),
    }


def test_our_own_time_is_told_apart_from_the_pods() -> None:
    metrics = Metrics()
    metrics.called("thing", SHOW, True, 200, "Pod1", 0.75, 0.5)
    metrics.called("thing", SHOW, True, 200, "", 0.125, 0.0)
    metrics.pod_called("Pod1", "thing", 0.5)
    labels = ("thing", "GET /v1/things/{id}")
    assert samples(metrics, "trio2o_request_seconds_sum")[labels] == 0.875
    assert samples(metrics, "trio2o_own_seconds_sum") == {("thing",): 0.25}
    assert samples(metrics, "trio2o_pod_request_seconds_sum") == {("Pod1", "thing"): 0.5}


def test_a_pod_that_did_not_answer_is_counted_by_what_is_known_of_the_call() -> None:
    metrics = Metrics()
    metrics.pod_called("Pod1", "thing", 5.0, "timeout")
    assert samples(metrics, "trio2o_pod_failures_total") == {("Pod1", "thing", "timeout"): 1}
    assert samples(metrics, "trio2o_pod_request_seconds_count") == {}


def test_what_is_looked_at_goes_when_it_is_no_more_there() -> None:
    metrics = Metrics()
    for pods in ("Pod1", "Pod2"), ("Pod2",):
        metrics.look(
            [Figure("pod_calls_waiting", {"pod": pod, "service": "thing"}, 3) for pod in pods]
        )
        assert set(samples(metrics, "trio2o_pod_calls_waiting")) == {(p, "thing") for p in pods}
    metrics.look([Figure("tokens_cached", {}, 7)])
    assert samples(metrics, "trio2o_tokens_cached") == {(): 7}


def test_commits_and_tokens_are_counted() -> None:
    metrics = Metrics()
    metrics.committed(0.01, 32)
    for known in (True, True, False):
        metrics.token_looked_up(known)
    assert samples(metrics, "trio2o_store_changes_total") == {(): 32}
    assert samples(metrics, "trio2o_store_commit_seconds_count") == {(): 1}
    found = samples(metrics, "trio2o_token_lookups_total")
    assert found == {("in memory",): 2, ("not in memory",): 1}


@pytest.mark.parametrize("face", ["compute", "volume", "network", "image", "admin"])
def test_no_label_of_any_operation_is_an_id(face: str) -> None:
    from trio2o.service import FACES

    metrics = Metrics()
    (kind,) = [kind for kind in FACES if kind.name == face]
    rows: Any = kind.operations
    for row in rows:
        metrics.called(face, row, True, 200, "", 0.1, 0.0)
    told = samples(metrics, "trio2o_requests_total")
    assert sum(told.values()) == len(rows)
    assert len(told) <= len(rows)
