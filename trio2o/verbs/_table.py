"""Operation tables: rows of method, path, action and versions, each block with its verb."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from trio2o.domain.versions import ANY, Range, Version
from trio2o.verbs._context import Operation, Verb


def rows(verb: Verb, text: str, **more: Any) -> tuple[Operation, ...]:
    """Operations from lines of `METHOD /path [action] [least-most] [hot]`, all with one verb.

    `2.26-` is from 2.26 on, `2.1-2.35` up to 2.35. `more` are fields of `Operation`.
    """
    return tuple(_row(line.split(), verb, more) for line in text.split("\n") if line.strip())


def _row(words: list[str], verb: Verb, more: dict[str, Any]) -> Operation:
    method, path, *rest = words
    operation = Operation(method, path, verb, **more)
    for word in rest:
        least, dash, most = word.partition("-")
        if dash and least.replace(".", "").isdigit():
            versions = Range(Version.parse(least), Version.parse(most) if most else ANY.most)
            operation = evolve(operation, versions=versions)
        elif word == "hot":
            operation = evolve(operation, hot=True)
        else:
            operation = evolve(operation, action=word)
    return operation
