"""The command line clients, as a person uses them."""

from __future__ import annotations

from tenants import Project, eventually


def test_openstack_boots_attaches_lists_and_deletes(project: Project):
    net = project.cli_json("network", "create", "--availability-zone-hint", "az2", "n")
    project.cli_json("subnet", "create", "--network", "n", "--subnet-range", "10.3.0.0/24", "s")
    server = project.cli_json(
        "server", "create", "--image", "cirros", "--flavor", "m1.tiny", "--network", "n",
        "--availability-zone", "az2", "--security-group", "default", "--wait", "vm",
    )  # fmt: skip
    assert server["status"] == "ACTIVE"
    project.cli_json("volume", "create", "--size", "1", "--availability-zone", "az2", "v")
    eventually(lambda: project.cli_json("volume", "show", "v")["status"] == "available")
    project.cli_json("server", "add", "volume", "vm", "v")
    listed = project.cli_json("server", "list")
    assert [(row["Name"], row["Status"]) for row in listed] == [("vm", "ACTIVE")]
    assert "n" in listed[0]["Networks"]
    assert project.cli_json("server", "list", region="Pod1") == []
    assert project.cli_json("network", "show", "n")["id"] == net["id"]
    for words in (("server", "remove", "volume", "vm", "v"), ("server", "delete", "--wait", "vm")):
        done = project.cli("openstack", *words)
        assert done.returncode == 0, done.stderr
    assert project.cli_json("server", "list") == []


def test_the_services_own_clients_list_what_there_is(project: Project):
    project.server("az1")
    project.volume("az2")
    for words, expected in (
        (("nova", "list"), "vm-az1"),
        (("nova", "show", "vm-az1"), "az1"),
        (("cinder", "list"), "vol-az2"),
        (("cinder", "show", "vol-az2"), "az2"),
        (("glance", "image-list"), "cirros"),
    ):
        done = project.cli(*words)
        assert done.returncode == 0 and expected in done.stdout, done.stdout + done.stderr
