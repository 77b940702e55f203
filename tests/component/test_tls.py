"""TLS on both sides: faces with certificates that are read again, pods that are verified."""

import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from appliance import Appliance, Client, eventually, operator
from authority import Authority, Tunnel
from fakes import Cloud


@pytest.fixture
def own(cloud: Cloud, tmp_path: Path) -> Iterator[Appliance]:
    cloud.reset(move=True)
    made = Appliance(cloud, tmp_path)
    yield made
    made.kill()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tunnels() -> Iterator[list[Tunnel]]:
    made: list[Tunnel] = []
    yield made
    for one in made:
        one.close()


def served(port: int, authority: Authority, version: Any = None) -> bytes:
    """The certificate that is shown there, once it was verified for "localhost"."""
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    if version:
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
    ):
        found = link.getpeercert(binary_form=True)
        assert found
        return found


def test_a_face_has_tls_and_its_certificate_is_read_again(
    own: Appliance, authority: Authority
) -> None:
    certificate = authority.issue("face.pem", "localhost", "127.0.0.1")
    own.config.write_text(own.toml({"faces.compute.certificate": str(certificate)}))
    own.launch()
    port = own.ports["compute"]
    eventually(lambda: "Trio2o serves" in own.log(), 30)
    first = served(port, authority)
    found = requests.get(f"https://localhost:{port}/", verify=str(authority.ca_file), timeout=5)
    assert found.json()["versions"]
    assert own.request("GET", "volume", "/healthcheck").status_code == 200  # has none

    with socket.create_connection(("127.0.0.1", port)) as kept:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        with context.wrap_socket(kept, server_hostname="localhost") as link:
            authority.issue("face.pem", "localhost")
            assert own.process is not None
            own.process.send_signal(signal.SIGHUP)
            eventually(lambda: served(port, authority) != first)
            link.sendall(b"GET /healthcheck HTTP/1.1\r\nHost: a\r\n\r\n")
            assert link.recv(100).startswith(b"HTTP/1.1 200")

    certificate.write_text("nonsense")
    second = served(port, authority)
    own.process.send_signal(signal.SIGHUP)
    eventually(lambda: "what was read before stays" in own.log())
    assert served(port, authority) == second


def test_nothing_older_than_tls_1_2_is_spoken(own: Appliance, authority: Authority) -> None:
    certificate = authority.issue("face.pem", "localhost")
    own.config.write_text(own.toml({"faces.compute.certificate": str(certificate)}))
    own.launch()
    eventually(lambda: "Trio2o serves" in own.log(), 30)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert served(own.ports["compute"], authority, version)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        served(own.ports["compute"], authority, ssl.TLSVersion.TLSv1_1)


def test_a_certificate_that_cannot_be_used_is_told_at_the_start(
    own: Appliance, authority: Authority
) -> None:
    own.config.write_text(own.toml({"faces.compute.certificate": str(authority.ca_file)}))
    own.launch()
    assert own.process is not None
    assert own.process.wait(30) == 1
    assert "a certificate and its private key in PEM" in own.log()
    assert "Traceback" not in own.log()


def behind_tls(
    own: Appliance, authority: Authority, tunnels: list[Tunnel], host: str = "localhost"
) -> dict[str, Any]:
    """Keystone and Pod1's Nova are had by TLS alone; the settings for it."""
    certificate = authority.issue("pods.pem", host)
    keystone, pod = own.cloud.keystone, own.cloud.pod("Pod1")
    for url in (keystone.url, pod.compute.url):
        port = urlsplit(url).port
        assert port
        tunnels.append(Tunnel(certificate, port))
    keystone.register("Pod1", "compute", "nova", f"https://localhost:{tunnels[1].port}/v2.1")
    return {"identity.auth_url": f"https://localhost:{tunnels[0].port}/v3"}


def add_pod(own: Appliance) -> Client:
    for name, zone in (("RegionOne", ""), ("Pod1", "az1")):
        body = {"pod": {"pod_name": name, "az_name": zone}}
        assert operator(own).ask("POST", "admin", "/v1.0/pods", body).status_code == 200
    project = own.cloud.keystone.project("secure")
    return Client(own, project, own.cloud.keystone.token(project))


def test_keystone_and_pods_are_verified_with_the_configured_authority(
    own: Appliance, authority: Authority, tunnels: list[Tunnel]
) -> None:
    more = behind_tls(own, authority, tunnels)
    own.config.write_text(own.toml(more | {"pods.ca_file": str(authority.ca_file)}))
    own.start()
    client = add_pod(own)
    id = client.server("az1")
    assert client.ids("compute", "/v2.1/servers") == [id]
    assert "are not checked" not in own.log()


@pytest.mark.parametrize("how", ["another authority", "another name"])
def test_what_cannot_be_verified_is_not_talked_to(
    own: Appliance, authority: Authority, tunnels: list[Tunnel], tmp_path: Path, how: str
) -> None:
    more = behind_tls(own, authority, tunnels, "localhost" if "auth" in how else "elsewhere")
    trusted = Authority(tmp_path, "other") if "auth" in how else authority
    own.config.write_text(own.toml(more | {"pods.ca_file": str(trusted.ca_file)}))
    own.start()
    token = own.cloud.keystone.token("admin", "admin", ["admin"])
    assert own.request("GET", "compute", "/v2.1/servers", token).status_code == 503
    assert "the catalog was not refreshed" in own.log()
    assert [tunnel.passed for tunnel in tunnels] == [0, 0]


def test_no_verification_is_explicit_and_said_at_the_start(
    own: Appliance, authority: Authority, tunnels: list[Tunnel]
) -> None:
    more = behind_tls(own, authority, tunnels, "elsewhere")
    config = own.toml(more) + "pods.insecure = true\n"
    own.config.write_text(config)
    own.start()
    client = add_pod(own)
    assert client.ids("compute", "/v2.1/servers") == []
    assert "pods.insecure: certificates of Keystone, Glance and the pods are not checked" in (
        own.log()
    )


def test_another_authority_is_believed_after_a_reload(
    own: Appliance, authority: Authority, tunnels: list[Tunnel], tmp_path: Path
) -> None:
    more = behind_tls(own, authority, tunnels)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Authority(tmp_path, "other").ca_file.read_bytes())
    own.config.write_text(own.toml(more | {"pods.ca_file": str(bundle)}))
    own.start()
    token = own.cloud.keystone.token("admin", "admin", ["admin"])
    assert own.request("GET", "compute", "/v2.1/servers", token).status_code == 503
    with bundle.open("ab") as file:
        file.write(authority.ca_file.read_bytes())
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    eventually(lambda: own.request("GET", "compute", "/v2.1/servers", token).status_code != 503, 20)
