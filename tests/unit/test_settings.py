"""Settings: what is refused says where and what is allowed; a file written reads as meant."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio2o.settings import BadSettings, FaceSettings, Settings, commented, differences, load, parse


def leaves(base: Any = None, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each setting: its dotted name, its field, its default."""
    base = Settings() if base is None else base
    for field in attrs.fields(type(base)):
        name, value = f"{path}.{field.name}".strip("."), getattr(base, field.name)
        if field.metadata.get("section"):
            yield from leaves(value, name)
        else:
            yield name, field, value


LEAVES = list(leaves())
NAMES = [name for name, _, _ in LEAVES]
DEFAULTS = {name: value for name, _, value in LEAVES}


STORE = "'', sqlite:/// and the path of a file, or postgresql+psycopg://..."


def refused(text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        parse(text, "t.toml")
    return str(caught.value)


def of(settings: Settings, name: str) -> Any:
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


def test_a_list_is_of_what_there_is() -> None:
    assert parse("scheduling.filters = ['room']").scheduling.filters == ("room",)
    assert parse("scheduling.filters = []").scheduling.filters == ()
    assert "a list of 'state', 'health', 'tags', 'room'" in refused("scheduling.filters = ['x']")
    for text in ("'room'", "[1]", "1"):
        assert "is not a list of texts" in refused(f"scheduling.filters = {text}")
    again = parse(commented({"scheduling.filters": ("room", "tags")}))
    assert again.scheduling.filters == ("room", "tags")


def test_an_empty_file_means_the_defaults() -> None:
    assert parse("") == Settings()


def test_settings_take_the_place_of_defaults_and_leave_the_others() -> None:
    text = '[pods]\ntimeout = 7\nconnections = 3\n[faces.compute]\nurl = "https://c:1/x"\n'
    found = parse(text)
    assert (found.pods.timeout, found.pods.connections) == (7.0, 3)
    assert type(found.pods.timeout) is float
    assert found.pods.interface == "internal"
    assert found.faces.compute == FaceSettings("tcp:19998:interface=127.0.0.1", url="https://c:1/x")
    assert found.faces.volume == Settings().faces.volume
    assert found.limits == Settings().limits


@pytest.mark.parametrize(
    "text", ["pods.timeout = 7", "pods = {timeout = 7}", '["pods"]\n"timeout" = 7']
)
def test_toml_may_be_written_in_any_of_its_ways(text: str) -> None:
    assert parse(text).pods.timeout == 7.0


# refusals


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[pods]\n\nx = 1\n", "line 3: pods.x: no such setting; there are: interface, timeout, "),
        ("\n[pod]\n", "line 2: pod: no such setting; there are: service, log, telemetry, "),
        ("[faces.nova]\n", "line 1: faces.nova: no such setting; there are: admin, compute, "),
        (
            "[log]\nlevel = 'loud'",
            "line 2: log.level: 'loud' is not allowed; it must be one of 'er",
        ),
        ("[pods]\ntimeout = 'x'", "line 2: pods.timeout: 'x' is not a number"),
        ("[pods]\ntimeout = true", "line 2: pods.timeout: True is not a number"),
        ("[pods]\nconnections = 1.0", "line 2: pods.connections: 1.0 is not a whole number"),
        ("[pods]\nconnections = true", "line 2: pods.connections: True is not a whole number"),
        ("[pods]\ninterface = 1", "line 2: pods.interface: 1 is not a text in quotes"),
        ("[log]\nlevel = []", "line 2: log.level: [] is not a text in quotes"),
        ("[log]\n[log.level]\n", "line 2: log.level: {} is not a text in quotes"),
        ("log = 1", "line 1: log: must be a section"),
        ("[faces]\n# here\ncompute = 'x'", "line 3: faces.compute: must be a section"),
        (
            "[limits]\nbody_bytes = 5000\nheader_bytes = 10",
            "line 3: limits.header_bytes: 10 is not allowed; it must be a number of at least 1024",
        ),
        (
            "[pods]\nrefresh = 0.4",
            "line 2: pods.refresh: 0.4 is not allowed; it must be a number of at least 0.5",
        ),
        (
            "[faces.compute]\n  url = 'here'",
            "line 2: faces.compute.url: 'here' is not allowed; it must be a URL such as http",
        ),
        ("[log]\nlevel = 'info'\n[log]\n", "Cannot declare ('log',) twice (at line 3, "),
        ("[log\n", "(at line 1, column 5)"),
        ("[log]\nlevel = x\n", "(at line 2, column 9)"),
    ],
)
def test_a_refusal_names_the_line_and_what_is_allowed(text: str, words: str) -> None:
    message = refused(text)
    assert message.startswith("t.toml")
    assert words in message


@pytest.mark.parametrize(
    "url", ["", "x", "http://", "ftp://a", "//a", "/a", "http:/a", "http://a/?x=1", "a:80"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    wanted = f"line 2: identity.auth_url: {url!r} is not allowed; it must be a URL such as"
    assert wanted in refused(f"[identity]\nauth_url = '{url}'")


@pytest.mark.parametrize("url", ["http://a", "https://a:1/b/", "http://[fd00::1]:5000/v3"])
def test_a_url_is_taken(url: str) -> None:
    assert parse(f"[identity]\nauth_url = '{url}'").identity.auth_url == url
    assert parse(f"[images]\nurl = '{url}'").images.url == url


def test_the_url_of_glance_may_be_empty_but_not_wrong() -> None:
    assert parse("[images]\nurl = ''").images.url == ""
    assert "images.url: 'x' is not allowed" in refused("[images]\nurl = 'x'")


@pytest.mark.parametrize("url", ["http://[", "http://[::1", "http://[x]/"])
def test_a_url_with_half_an_address_is_refused(url: str) -> None:
    assert "line 2: identity.auth_url" in refused(f"[identity]\nauth_url = '{url}'")


CHECKED = [(name, value) for name, field, value in LEAVES if type(value) in (int, float)]


@pytest.mark.parametrize(("name", "default"), CHECKED, ids=[name for name, _ in CHECKED])
def test_no_number_may_be_negative(name: str, default: Any) -> None:
    assert f"line 1: {name}: " in refused(f"{name} = {type(default)(-1)}").replace(
        "line 2", "line 1"
    )


@pytest.mark.parametrize(("name", "default"), CHECKED, ids=[name for name, _ in CHECKED])
def test_no_number_may_be_nan(name: str, default: Any) -> None:
    assert f"{name}: nan is not" in refused(f"{name} = nan")


@pytest.mark.parametrize("name", [name for name, value in CHECKED if isinstance(value, float)])
def test_no_number_may_be_infinite(name: str) -> None:
    assert f"{name}: inf is not" in refused(f"{name} = inf")


@pytest.mark.parametrize("level", ["error", "warn", "info", "debug", "trace"])
def test_each_level_is_taken(level: str) -> None:
    assert parse(f"[log]\nlevel = '{level}'").log.level == level


@pytest.mark.parametrize(("name", "default"), list(DEFAULTS.items()), ids=NAMES)
def test_a_value_of_another_kind_is_refused_by_its_name(name: str, default: Any) -> None:
    section, _, key = name.rpartition(".")
    wrong = "1" if isinstance(default, str) else "'x'"
    message = refused(f"# first\n[{section}]\n# third\n  {key}   =   {wrong}\n")
    assert message.startswith(f"t.toml, line 4: {name}: ")


def test_the_line_is_that_of_the_right_section() -> None:
    text = "[faces.compute]\nurl = 'http://a'\n[faces.volume]\nlisten = ''\nurl = 'x'\n"
    assert refused(text).startswith("t.toml, line 5: faces.volume.url: ")


@given(st.text(max_size=40))
def test_no_text_is_an_error_of_another_kind(text: str) -> None:
    try:
        found = parse(text)
    except BadSettings:
        return
    assert found == Settings()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("store.url", "postgresql://db", STORE),
        ("store.url", "trio2o.sqlite", STORE),
        ("faces.compute.listen", "19998", "'', or a Twisted endpoint such as 'tcp:19998:interface"),
        ("faces.compute.listen", "tcp:", "'', or a Twisted endpoint such as 'tcp:19998:interface"),
        ("pods.interface", "Public", "one of 'internal', 'public', 'admin'"),
        ("network.mode", "flat", "one of 'local', 'stretched'"),
        ("log.level", "INFO", "one of 'error', 'warn', 'info', 'debug', 'trace'"),
    ],
)
def test_a_text_that_is_not_allowed_is_refused_with_what_is(
    name: str, value: str, words: str
) -> None:
    section, _, key = name.rpartition(".")
    message = refused(f"[{section}]\n{key} = '{value}'")
    allowed = f"t.toml, line 2: {name}: {value!r} is not allowed; it must be {words}"
    assert message.startswith(allowed)


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:", "postgresql+psycopg://"])
def test_a_store_that_is_no_file_is_refused(url: str) -> None:
    assert "line 2: store.url" in refused(f"[store]\nurl = '{url}'")


@pytest.mark.parametrize(
    "url", ["http://a b", "http://a/#x", "http://a/?", "http://a\tb", "http://a "]
)
def test_a_url_behind_which_no_path_can_stand_is_refused(url: str) -> None:
    assert "line 2: identity.auth_url" in refused(f'[identity]\nauth_url = "{url}"')


@pytest.mark.parametrize(
    "text",
    [
        "# first\nlog.level = 'x'",
        "# first\nlog = {level = 'x'}",
        "[log]\n'level' = 'x'",
        "[faces]\ncompute.url = 'x'",
        "[faces]\ncompute = {url = 'x'}",
    ],
)
def test_the_line_is_found_however_a_key_is_written(text: str) -> None:
    assert refused(text).startswith("t.toml, line 2: ")


# files


def test_a_file_is_read_and_named_in_refusals(tmp_path: Path) -> None:
    file = tmp_path / "trio2o.toml"
    file.write_text("[log]\nlevel = 'debug'\n")
    assert load(file).log.level == "debug"
    file.write_text("[log]\nlevel = 'x'\n")
    with pytest.raises(BadSettings, match=re.escape(f"{file}, line 2: log.level")):
        load(str(file))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(BadSettings, match=re.escape(str(tmp_path))):
        load(tmp_path)
    (tmp_path / "latin").write_bytes(b"# \xe9")
    with pytest.raises(BadSettings, match="utf-8"):
        load(tmp_path / "latin")


def test_the_store_is_in_the_state_folder_unless_it_is_said() -> None:
    assert parse("[service]\nstate = '/s'").store_url == "sqlite:////s/trio2o.sqlite"
    for url in ("sqlite:///x", "postgresql+psycopg://trio2o:pw@db/trio2o"):
        assert parse(f"[store]\nurl = '{url}'").store_url == url


def test_a_refusal_tells_no_password() -> None:
    told = refused("[store]\nurl = 'postgresql://me:s3cr:et@db/trio2o'")
    assert "'postgresql://me:***@db/trio2o'" in told


# the file that is written


def test_a_commented_file_reads_as_the_defaults() -> None:
    assert parse(commented()) == Settings()


def test_a_commented_file_shows_the_defaults() -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", commented(), flags=re.MULTILINE)
    shown = {line.partition(" = ")[0] for line in text.splitlines() if " = " in line}
    assert {name.rpartition(".")[2] for name in NAMES} <= shown
    assert parse(text) == Settings()
    # it is they that are read: one that is changed is another
    assert parse(text.replace('level = "info"', 'level = "warn"')).log.level == "warn"


def test_each_setting_and_section_is_documented_in_a_sentence() -> None:
    text = commented()
    for name, field, _ in LEAVES:
        doc = field.metadata["doc"]
        assert len(doc.split()) > 1 and doc.endswith("."), name
        assert f"# {doc}\n# {field.name} = " in text, name


def test_the_defaults_pass_their_own_checks() -> None:
    for name, field, value in LEAVES:
        check = field.metadata["check"]
        assert not check or not check(value), name


def test_what_is_given_is_not_commented_out() -> None:
    text = commented({"identity.password": 'a"b\\c', "pods.timeout": 5.0, "pods.connections": 3})
    assert '\npassword = "a\\"b\\\\c"\n' in text
    assert "\n# username = " in text
    found = parse(text)
    assert (found.identity.password, found.pods.timeout, found.pods.connections) == ('a"b\\c', 5, 3)
    assert attrs.evolve(found, identity=Settings().identity, pods=Settings().pods) == Settings()


TEXTS = ["identity.username", "service.state", "service.region", "service.disable_file"]
PRINTED = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=20)


@given(PRINTED, st.sampled_from(TEXTS))
def test_what_is_given_is_read_as_it_was_given(value: str, name: str) -> None:
    assert of(parse(commented({name: value})), name) == value


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a\x7fb"])
def test_control_characters_are_read_as_they_were_given(value: str) -> None:
    assert parse(commented({"identity.password": value})).identity.password == value


def test_a_switch_is_true_or_false() -> None:
    assert parse("[pods]\ninsecure = true").pods.insecure is True
    assert parse(commented({"pods.insecure": True})).pods.insecure is True
    assert "line 2: pods.insecure: 'yes' is not true or false" in refused(
        "[pods]\ninsecure = 'yes'"
    )
    assert "line 2: pods.insecure: 1 is not true or false" in refused("[pods]\ninsecure = 1")


def test_proxies_are_addresses() -> None:
    assert parse("[service]\nproxies = '203.0.113.1, ::1,'").proxies == {"203.0.113.1", "::1"}
    assert parse("").proxies == frozenset()
    assert "service.proxies: 'lb.example' is not" in refused("[service]\nproxies = 'lb.example'")


def test_what_differs_is_told_by_its_dotted_name() -> None:
    new = parse("[log]\nlevel = 'debug'\n[faces.compute]\nlisten = ''")
    assert list(differences(Settings(), new)) == ["log.level", "faces.compute.listen"]
    assert list(differences(new, new)) == []
