"""One answer of all pods' numbers: limits and quotas, as each service has them.

Each pod holds the same limits (they are written to all), so a limit is the least that a pod has;
what is used is added up.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from trio2o.domain.values import Pod

Document = dict[str, Any]
Said = Sequence[tuple[Pod, Document]]


def least(limits: Iterable[int]) -> int:
    """The tightest of limits, of which -1 is none."""
    return min(limits, key=lambda limit: (limit < 0, limit))


def _numbers(documents: Sequence[Document], name: str) -> list[Any]:
    return [one[name] for one in documents if isinstance(one.get(name), (int, float))]


def _names(documents: Sequence[Document]) -> list[str]:
    """The members that any has: one pod may know types of volumes that another does not."""
    return list(dict.fromkeys(name for one in documents for name in one))


def add(documents: Sequence[Document]) -> Document:
    """Every number added up; the rest as the first says."""
    added = dict(documents[0])
    for name, value in added.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            added[name] = sum(_numbers(documents, name))
    return added


def limits(said: Said) -> Document:
    """`max*` are limits, all else is in use."""
    absolutes = [document["limits"]["absolute"] for _, document in said]
    absolute = {
        name: (least if name.startswith("max") else sum)(_numbers(absolutes, name))
        for name in _names(absolutes)
    }
    return {"limits": said[0][1]["limits"] | {"absolute": absolute}}


def quotas(said: Said, key: str = "quota_set") -> Document:
    """A limit by each name, or one with what is in use and reserved of it."""
    return {key: least_of([document[key] for _, document in said])}


def least_of(sets: Sequence[Document]) -> Document:
    """Of several quotas the least of each limit, and the sum of what is used."""
    shown: Document = {}
    for name in _names(sets):
        values = [one[name] for one in sets if name in one]
        value = values[0]
        if isinstance(value, dict):
            shown[name] = add(values) | {"limit": least(one["limit"] for one in values)}
        else:
            shown[name] = least(values) if isinstance(value, int) else value
    return shown
