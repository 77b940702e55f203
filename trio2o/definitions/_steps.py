"""Steps that kinds of types and flavors share."""

from __future__ import annotations

from urllib.parse import quote

from trio2o.definitions._kind import Document, Step

PLAIN = ("name", "description", "is_public")


def plain_steps(path: str, key: str, have: Document, want: Document) -> list[Step]:
    """What makes a type's own members these; Cinder takes no null for them."""
    plain = {name: want[name] for name in PLAIN if want[name] != have[name]}
    told = {name: "" if value is None else value for name, value in plain.items()}
    return [Step("PUT", path, {key: told})] if told else []


def access_steps(path: str, action: str, key: str, have: Document, want: Document) -> list[Step]:
    """What lets in these projects and no others."""
    return [
        Step("POST", path, {word + action: {key: project}})
        for word, left, right in (("add", want, have), ("remove", have, want))
        for project in sorted(set(left["projects"]) - set(right["projects"]))
    ]


def specs_steps(path: str, key: str, have: Document, want: Document) -> list[Step]:
    """What makes extra specs (or the like, under a path of their own) these."""
    steps = [
        Step("DELETE", f"{path}/{quote(name, safe='')}", fine=404)
        for name in sorted(set(have) - set(want))
    ]
    if changed := {name: value for name, value in want.items() if have.get(name) != value}:
        steps.append(Step("POST", path, {key: changed}))
    return steps
