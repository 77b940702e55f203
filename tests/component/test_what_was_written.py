"""Nothing secret is in what the appliances of the whole session wrote (this file comes last)."""

import json
import uuid
from pathlib import Path

import pytest
from appliance import PASSWORD, Appliance, Client, eventually, operator
from fakes import Cloud

ADMIN_PASS, USER_DATA, KEY_DATA = "adminpw-77", "dWQ3Nw==", "key-data-4711"
CONSOLE, PRIVATE = "console-3c5f0f67", "PRIVATE KEY"
SECRETS = (PASSWORD, ADMIN_PASS, USER_DATA, KEY_DATA, CONSOLE, PRIVATE)


def say_secrets(client: Client) -> None:
    """Calls whose bodies, paths and queries hold what nobody else may know."""
    server = {"name": "n", "flavorRef": "1", "adminPass": ADMIN_PASS, "user_data": USER_DATA}
    client.ask("POST", "compute", "/v2.1/servers", {"server": server})
    client.ask("POST", "compute", "/v2.1/servers", {"server": server | {"flavorRef": 7}})
    action = {"changePassword": {"adminPass": ADMIN_PASS}}
    client.ask("POST", "compute", f"/v2.1/servers/{uuid.uuid4()}/action", action)
    client.ask("POST", "compute", f"/v2.1/servers/{ADMIN_PASS[:3]}/action", {"fly": ADMIN_PASS})
    client.ask("POST", "compute", "/v2.1/os-keypairs", {"keypair": {"name": "generated"}})
    client.ask("GET", "compute", f"/v2.1/os-console-auth-tokens/{CONSOLE}")
    client.ask("GET", "compute", f"/v2.1/os-console-auth-tokens/{CONSOLE}/x")
    client.ask("GET", "compute", f"/v2.1/servers/{client.token}")
    client.ask("GET", "volume", f"/v3/{client.token}/volumes")
    client.ask("GET", "network", f"/v2.0/networks?token={client.token}&adminPass={ADMIN_PASS}")
    client.ask("POST", "image", f"/{client.token}", {"password": PASSWORD})
    client.ask("GET", "compute", f"/v2.1/servers%2f{client.token}")
    client.ask("DELETE", "admin", f"/v1.0/pods?x={client.token}")


def test_no_secret_is_in_any_log_or_store(
    appliance: Appliance, demo: Client, cloud: Cloud, folder: Path
) -> None:
    say_secrets(demo)
    for name in ("Pod1", "Pod2"):
        cloud.pod(name).fail = (500, json.dumps({"x": {"adminPass": ADMIN_PASS}}).encode())
    say_secrets(demo)
    for name in ("Pod1", "Pod2"):
        cloud.pod(name).down()
    say_secrets(demo)
    appliance.command("pod", "list")
    last = f"req-{uuid.uuid4()}"
    demo.ask("DELETE", "image", f"/v2/images/{last[4:]}", headers={"X-Openstack-Request-Id": last})
    for name in ("access.jsonl", "audit.jsonl"):
        log = appliance.folder / name
        eventually(lambda log=log: last in log.read_text())
    metrics = operator(appliance).ask("GET", "admin", "/metrics").text
    assert "trio2o_requests_total" in metrics

    files = [
        path
        for path in folder.parent.rglob("*")
        if path.is_file() and path.suffix not in (".toml", ".pem")
    ]
    kinds = {path.name for path in files if path.stat().st_size}
    assert {"appliance.log", "access.jsonl", "audit.jsonl", "trio2o.sqlite"} <= kinds
    secrets = [*SECRETS, *cloud.keystone.issued]
    assert len(secrets) > 7
    written = {str(path): path.read_bytes() for path in files} | {"metrics": metrics.encode()}
    for name, content in written.items():
        for secret in secrets:
            assert secret.encode() not in content, (name, secret)


@pytest.mark.parametrize("name", ["access.jsonl", "audit.jsonl"])
def test_each_line_of_a_log_is_json_that_names_its_call(appliance: Appliance, name: str) -> None:
    lines = (appliance.folder / name).read_text().splitlines()
    assert lines
    for line in map(json.loads, lines):
        assert (line.get("request_id") or line["initiator"]["request_id"]).startswith("req-")
