"""Whose certificates are believed, of those that Keystone, Glance and the pods show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Trust:
    """The system's authorities, or those of a file; with `insecure` anybody is believed."""

    def __init__(self, ca_file: str = "", *, insecure: bool = False) -> None:
        """Raises `OSError` or `ValueError` for a file that cannot be used."""
        self._insecure = insecure
        self.load(ca_file)

    def load(self, ca_file: str) -> None:
        """Believe this file from now on ('' = the system's). Raises as the constructor; what was
        believed then stays."""
        self._root = _authorities(Path(ca_file)) if ca_file else None
        self._made: dict[str, Any] = {}

    def creator(self, host: str) -> Any:
        """What begins TLS with a host; it heeds a later `load`."""
        return _Creator(self, host)

    def options(self, host: str) -> Any:
        if host not in self._made:
            made = _Anybody(host) if self._insecure else optionsForClientTLS(host, self._root)
            self._made[host] = made
        return self._made[host]


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    def __init__(self, trust: Trust, host: str) -> None:
        self._trust, self._host = trust, host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:  # noqa: N802, N803
        return self._trust.options(self._host).clientConnectionForTLS(tlsProtocol)


@implementer(IOpenSSLClientConnectionCreator)
class _Anybody:
    """TLS without any check of who is at the other end."""

    def __init__(self, host: str) -> None:
        self._host = host.encode("ascii")
        self._context = CertificateOptions().getContext()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:  # noqa: N802, N803
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if not re.fullmatch(rb"[\d.]+|.*:.*", self._host):
            connection.set_tlsext_host_name(self._host)
        return connection


def _authorities(path: Path) -> Any:
    found = _PEM.findall(path.read_bytes())
    if not found:
        raise ValueError(f"{path} holds no certificate")
    try:
        return trustRootFromCertificates([Certificate.loadPEM(one) for one in found])
    except Exception as error:
        raise ValueError(f"{path}: {error}") from None
