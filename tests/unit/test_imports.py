"""The house: which package may import which (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2] / "trio2o"

LEAVES = {
    "message": set(),
    "domain": {"message"},
    "settings": {"message", "domain"},
    "telemetry": {"message", "domain"},
    "running": set(),
}
LEVELS = {
    "upstream": set(),
    "store": set(),
    "scheduling": set(),
    "identity": {"upstream"},
    "reconcile": {"store"},
    "web": {"identity"},
    "pods": {"upstream", "identity", "store"},
    "routes": {"pods", "store", "reconcile"},
    "quotas": {"routes", "pods", "store", "reconcile"},
    "definitions": {"routes", "pods", "store", "reconcile"},
    "networks": {"routes", "pods", "store", "reconcile"},
    "verbs": {"routes", "scheduling", "quotas", "definitions", "pods", "store"},
    "faces": {
        *("verbs", "networks", "web", "routes", "quotas", "definitions"),
        *("pods", "store", "identity", "scheduling", "reconcile"),
    },
}
ALLOWED = (
    LEAVES
    | {name: allowed | set(LEAVES) for name, allowed in LEVELS.items()}
    | {
        "state": {"settings"},
        "workers": {"state", "store", "settings", "running"},
        "service": {*LEVELS, *LEAVES, "state", "workers"},
        "commands": {"service", "running", "state", "store", "settings", "domain"},
    }
)
"""`verbs` use `store` for bindings; `faces` meet what `service` hands them."""


def modules() -> Iterator[tuple[str, Path]]:
    """Each module with the dotted name of what it is, seen from `trio2o`."""
    for path in sorted(HOUSE.rglob("*.py")):
        words = path.relative_to(HOUSE).with_suffix("").parts
        yield ".".join(words[:-1] if words[-1] == "__init__" else words), path


def imported(path: Path) -> Iterator[str]:
    """What a module imports of ours, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("trio2o."):
                yield name.removeprefix("trio2o.")


MODULES = [pytest.param(name, path, id=name or "trio2o") for name, path in modules()]


@pytest.mark.parametrize(("name", "path"), MODULES)
def test_a_module_imports_only_what_stands_below_it(name: str, path: Path) -> None:
    package = name.partition(".")[0]
    allowed = ALLOWED.get(package, set()) | {package}
    found = {other.partition(".")[0] for other in imported(path)} - {"__version__"}
    assert found <= allowed


@pytest.mark.parametrize(("name", "path"), MODULES)
def test_no_module_reaches_into_the_private_modules_of_another_package(
    name: str, path: Path
) -> None:
    for other in imported(path):
        package, _, rest = other.partition(".")
        private = any(word.startswith("_") for word in rest.split(".")[:-1])
        assert not private or package == name.partition(".")[0], other


@pytest.mark.parametrize(("name", "path"), [p for p in MODULES if p.values[0].startswith("faces.")])
def test_no_face_imports_another(name: str, path: Path) -> None:
    words = name.split(".")
    siblings = {p.name for p in (HOUSE / "faces").iterdir() if p.is_dir()} - {words[1]}
    if words[1] in siblings or (HOUSE / "faces" / words[1]).is_dir():
        for other in imported(path):
            assert other.split(".")[1] not in siblings if other.startswith("faces.") else True


def test_each_package_of_the_house_is_known() -> None:
    born = {name.partition(".")[0] for name, _ in modules()} - {""}
    assert born <= set(ALLOWED)


def test_the_reactor_is_imported_where_the_program_starts_and_nowhere_else() -> None:
    found = {
        name
        for name, path in modules()
        if any("twisted.internet import reactor" in line for line in path.read_text().splitlines())
    }
    assert {name.partition(".")[0] for name in found} <= {"service", "commands"}


def test_no_two_test_files_have_one_name() -> None:
    """pytest collects all of them at once, by their base names."""
    names = [path.name for path in (HOUSE.parent / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
