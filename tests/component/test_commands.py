"""What an operator types: init, serve, twistd, register, pod, binding, operations."""

import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance import TRIO2O, Appliance, Client, eventually
from fakes import Cloud


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRIO2O, *words], capture_output=True, text=True, timeout=30, cwd=folder, check=False
    )


@pytest.fixture
def another(cloud: Cloud, tmp_path: Path) -> Iterator[Appliance]:
    """An appliance that a test may start as it likes."""
    made = Appliance(cloud, tmp_path)
    yield made
    made.kill()


def test_init_writes_settings_that_explain_themselves_and_are_taken(tmp_path: Path) -> None:
    made = run(
        "init", "--set", "service.state=there", "--set", "limits.body_bytes=7", folder=tmp_path
    )
    assert made.returncode == 0, made.stderr
    file = tmp_path / "trio2o.toml"
    text = file.read_text()
    assert 'state = "there"' in text and "body_bytes = 7" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    names = re.findall(r"^#? ?(\w+) = ", text, re.MULTILINE)
    assert len(names) > 25
    assert text.count("#") > len(names)


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "trio2o.toml").write_text("mine")
    again = run("init", folder=tmp_path)
    assert again.returncode != 0
    assert "exists already" in again.stderr
    assert (tmp_path / "trio2o.toml").read_text() == "mine"


@pytest.mark.parametrize("given", ["nonsense", "no.such=1", "limits.body_bytes=much"])
def test_init_refuses_what_is_no_setting(tmp_path: Path, given: str) -> None:
    made = run("init", "--set", given, folder=tmp_path)
    assert made.returncode != 0
    assert given.partition("=")[0] in made.stderr
    assert not (tmp_path / "trio2o.toml").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[service]\nstat = 'x'", ("2", "stat")),
        ("[nonsense]\na = 1", ("nonsense",)),
        ("[pods]\ntimeout = 'long'", ("2", "timeout")),
        ("[pods]\n\n\ninterface = 'side'", ("4", "interface", "internal", "public")),
        ("[log]\nlevel = 'loud'", ("2", "level", "debug")),
        ("[pods]\ntimeout = -1", ("2", "timeout")),
        ("[pods", ("1",)),
    ],
)
@pytest.mark.parametrize("how", ["serve", "twistd"])
def test_bad_settings_are_refused_with_their_line(
    tmp_path: Path, line: str, words: tuple[str, ...], how: str
) -> None:
    (tmp_path / "trio2o.toml").write_text(line + "\n")
    twistd = [sys.executable, "-m", "twisted", "trio2o", "--config", "trio2o.toml"]
    command = [*TRIO2O, "serve"] if how == "serve" else twistd
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, cwd=tmp_path, check=False
    )
    assert done.returncode != 0
    said = (done.stderr + done.stdout).strip().splitlines()[-1]
    for word in words:
        assert word in said
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "state").exists()


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("serve", "-c", "absent.toml", folder=tmp_path)
    assert done.returncode != 0
    assert "absent.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_twistd_runs_the_same_thing(another: Appliance) -> None:
    twistd = Path(sys.executable).with_name("twistd")
    another.launch(str(twistd), "-n", "trio2o", "--config", str(another.config))
    eventually(another.answers, 30)
    assert another.request("GET", "admin", "/").json()["versions"]
    another.end(signal.SIGTERM)
    # twistd ends itself by the signal that it got
    assert another.process is not None and another.process.returncode in (0, -signal.SIGTERM)


def test_a_port_that_is_taken_ends_the_start_with_an_error(
    appliance: Appliance, another: Appliance
) -> None:
    text = another.config.read_text()
    port = f"tcp:{appliance.ports['volume']}:"
    another.config.write_text(text.replace(f"tcp:{another.ports['volume']}:", port))
    another.launch()
    assert another.process is not None
    assert another.process.wait(20) != 0
    assert str(appliance.ports["volume"]) in another.log()


def test_register_makes_the_region_and_doubles_nothing(
    another: Appliance, cloud: Cloud, admin: Client
) -> None:
    def endpoints() -> dict[tuple[str, str], list[str]]:
        types = {row["id"]: row["type"] for row in cloud.keystone.rows["services"].values()}
        found: dict[tuple[str, str], list[str]] = {}
        for row in cloud.keystone.rows["endpoints"].values():
            if row["region_id"] == "RegionOne" and types[row["service_id"]] != "identity":
                key = (types[row["service_id"]], row["interface"])
                found.setdefault(key, []).append(row["url"])
        return found

    first = another.command("register")
    assert first.returncode == 0, first.stderr
    assert "created" in first.stdout
    made = endpoints()
    kinds = {"compute", "block-storage", "volumev3", "network", "image", "cascading"}
    assert {kind for kind, _ in made} == kinds
    assert {interface for _, interface in made} == {"public", "internal"}
    assert all(len(urls) == 1 for urls in made.values())
    assert made["compute", "public"] == [another.public("compute") + "/v2.1"]
    assert made["volumev3", "public"] == [another.public("volume") + "/v3/$(project_id)s"]
    again = another.command("register")
    assert endpoints() == made
    assert "created" not in again.stdout and "as it was" in again.stdout
    another.config.write_text(another.config.read_text().replace("localhost", "127.0.0.1"))
    assert "changed" in another.command("register").stdout
    moved = endpoints()
    assert all(len(urls) == 1 for urls in moved.values())
    assert moved["compute", "public"][0].startswith("http://127.0.0.1:")


def test_pods_are_added_listed_set_and_removed(
    bare: Appliance, cloud: Cloud, admin: Client
) -> None:
    assert bare.command("pod", "add", "RegionOne").returncode == 0
    added = bare.command("pod", "add", "Pod1", "--az", "az1", "--pod-az", "nova", "--dc", "dc1")
    assert added.returncode == 0, added.stderr
    listed = bare.command("pod", "list").stdout
    (pod,) = (p for p in admin.get("admin", "/v1.0/pods")["pods"] if p["pod_name"] == "Pod1")
    assert (pod["pod_az_name"], pod["dc_name"]) == ("nova", "dc1")
    (line,) = (line.split() for line in listed.splitlines() if line.startswith("Pod1"))
    assert line == ["Pod1", "az1", "nova", "active", "1", "up", pod["pod_id"]]
    assert bare.command("pod", "set", "Pod1", "--state", "draining").returncode == 0
    assert "draining" in bare.command("pod", "list").stdout
    more = ("--weight", "2", "--tag", "gpu", "--tag", "ssd", "--dc", "dc2")
    maps = ("--az-map", "az1=nova", "--az-map", "az2=east:east-vol", "--state", "active")
    changed = bare.command("pod", "set", "Pod1", *more, *maps)
    assert changed.returncode == 0, changed.stderr
    for words in ("az1, az2", "nova, east:east-vol", "gpu, ssd", " 2 "):
        assert words in changed.stdout
    assert bare.command("pod", "set", "Pod1", "--tag", "").returncode == 0
    assert "gpu" not in bare.command("pod", "list").stdout
    for wrong in ((), ("--az-map", "az1"), ("--az-map", "=nova"), ("--weight", "-1")):
        assert bare.command("pod", "set", "Pod1", *wrong).returncode != 0
    removed = bare.command("pod", "remove", "Pod1")
    assert (removed.returncode, "Pod1 was removed" in removed.stdout) == (0, True)
    assert "Pod1" not in bare.command("pod", "list").stdout


def test_a_refusal_is_printed_in_the_servers_words(appliance: Appliance, demo: Client) -> None:
    unknown = appliance.command("pod", "add", "Nowhere", "--az", "az9")
    assert unknown.returncode != 0
    assert "Nowhere" in unknown.stderr and "422" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    demo.server("az1")
    kept = appliance.command("pod", "remove", "Pod1")
    assert kept.returncode != 0 and "409" in kept.stderr
    assert appliance.command("pod", "remove", "Pod1", "--force").returncode == 0


def test_bindings_are_listed(appliance: Appliance, demo: Client) -> None:
    demo.server("az2")
    lines = appliance.command("binding", "list").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[demo.project, "az2"]]
    assert appliance.command("pod", "set", "Pod2", "--state", "draining").returncode == 0
    listed = ("binding", "list", "--project", demo.project)
    assert len(appliance.command(*listed).stdout.splitlines()) == 1
    assert len(appliance.command(*listed, "--ended").stdout.splitlines()) == 2


def test_operations_that_are_not_served_are_listed(tmp_path: Path) -> None:
    listed = run("operations", "--missing", folder=tmp_path).stdout.splitlines()
    assert listed[0].split() == ["face", "method", "path", "action", "verb"]
    assert all(line.split()[-1] == "501" for line in listed[1:-1])
    everything = run("operations", folder=tmp_path).stdout.splitlines()
    assert everything[-1] == f"{len(everything) - 2} rows"
    assert len(everything) > len(listed)


def test_a_second_process_on_one_state_ends_with_the_reason(
    appliance: Appliance, another: Appliance
) -> None:
    text = another.config.read_text()
    own = f'service.state = "{another.folder}/state"'
    assert own in text
    another.config.write_text(text.replace(own, f'service.state = "{appliance.folder}/state"'))
    another.launch()
    assert another.process is not None
    assert another.process.wait(20) == 1
    assert "another process uses" in another.log()
    assert "Traceback" not in another.log()


def test_twistd_tells_by_its_status_that_the_start_failed(
    appliance: Appliance, another: Appliance
) -> None:
    text = another.config.read_text()
    port = f"tcp:{appliance.ports['volume']}:"
    another.config.write_text(text.replace(f"tcp:{another.ports['volume']}:", port))
    twistd = Path(sys.executable).with_name("twistd")
    another.launch(str(twistd), "-n", "trio2o", "--config", str(another.config))
    assert another.process is not None
    assert another.process.wait(20) == 1
    assert "Traceback" not in another.log()
