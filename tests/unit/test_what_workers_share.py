"""What each of several workers is told."""

from attrs import evolve

from trio2o.settings import Settings
from trio2o.workers import Worker


def test_what_all_may_use_together_is_shared_out() -> None:
    worker = Worker(2, 3, {}, 9)
    pods, limits = Settings().pods, Settings().limits
    given = Settings(
        pods=evolve(pods, connections=64, project_connections=32),
        limits=evolve(limits, project_calls=256),
    )
    part = worker.share(given)
    assert (part.pods.connections, part.pods.project_connections) == (22, 11)
    assert part.limits.project_calls == 86
    assert evolve(part, pods=given.pods, limits=given.limits) == given


def test_no_limit_stays_none() -> None:
    given = Settings(limits=evolve(Settings().limits, project_calls=0))
    assert Worker(1, 4, {}, 9).share(given).limits.project_calls == 0
