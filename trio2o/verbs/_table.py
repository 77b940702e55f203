"""Operation tables: rows of method, path, action and versions, each block with its verb."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from attrs import evolve

from trio2o.domain.resources import Resource
from trio2o.domain.versions import ANY, Range, Version
from trio2o.verbs._context import Operation, Verb
from trio2o.verbs._define import (
    Anywhere,
    Define,
    Defined,
    Definitive,
    Fit,
    Prepare,
    Show,
    as_it_is,
    as_told,
)


def rows(verb: Verb, *texts: str, **more: Any) -> tuple[Operation, ...]:
    """Operations from lines of `METHOD[,METHOD] /path [action ...] [least-most] [hot]`, all with
    one verb: one for each method, path and action.

    `/hosts[/detail]` is with the part in brackets and without, `/[hosts|nodes]` with each of
    these. `2.26-` is from 2.26 on, `2.1-2.35` up to 2.35. `more` are fields of `Operation`.
    """
    lines = (line.split() for text in texts for line in text.split("\n") if line.strip())
    return tuple(row for words in lines for row in _rows(words, verb, more))


def definition_rows(
    kind: str,
    resource: Resource,
    *texts: str,
    fit: Fit = as_it_is,
    shown: Show = as_told,
    prepare: Prepare | None = None,
) -> tuple[Operation, ...]:
    """Rows of a kind of definitions: which verb follows from the method, and whether the path
    names one; all that is below one is its own."""

    def verb(row: Operation) -> Verb:
        named = re.findall(r"\{(\w+)\}", row.path)
        if named and row.method == "GET":
            return Defined(kind, resource, named[0], fit, shown)
        if named:
            return Define(kind, named[0], fit=fit, shown=shown)
        if row.method == "GET":
            return Definitive(kind, resource, shown)
        return Define(kind, makes=resource, prepare=prepare, fit=fit, shown=shown)

    return tuple(evolve(row, verb=verb(row)) for row in rows(Anywhere(resource), *texts))


def _rows(words: list[str], verb: Verb, more: dict[str, Any]) -> Iterator[Operation]:
    methods, path, *rest = words
    actions = []
    for word in rest:
        least, dash, most = word.partition("-")
        if dash and least.replace(".", "").isdigit():
            versions = Range(Version.parse(least), Version.parse(most) if most else ANY.most)
            more = more | {"versions": versions}
        elif word == "hot":
            more = more | {"hot": True}
        else:
            actions.append(word)
    for method, one, action in product(methods.split(","), _paths(path), actions or [""]):
        yield Operation(method, one, verb, action, **more)


def _paths(text: str) -> list[str]:
    plain, *inside = re.split(r"[\[\]]", text)
    ways = [[plain]]
    for choice, after in zip(inside[::2], inside[1::2], strict=True):
        words = choice.split("|") if "|" in choice else ["", choice]
        ways.append([word + after for word in words])
    return ["".join(parts) for parts in product(*ways)]
