"""Choosing a pod: pure functions of what is known and what is wished."""

from trio2o.scheduling._choose import (
    Candidate,
    Conflicting,
    NoPod,
    NoSuchZone,
    Pin,
    Refusal,
    Rules,
    Wish,
    fitting,
    groups,
    ranked,
)

__all__ = [
    "Candidate",
    "Conflicting",
    "NoPod",
    "NoSuchZone",
    "Pin",
    "Refusal",
    "Rules",
    "Wish",
    "fitting",
    "groups",
    "ranked",
]
