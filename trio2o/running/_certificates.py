"""A face's certificate, which can be read again while it serves."""

import re
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion
from zope.interface import implementer

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL
)


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """TLS 1.2 or later with the certificate, chain and key of two PEM files (or one)."""

    def __init__(self, certificate: str, private_key: str = "") -> None:
        """Raises `OSError` or `ValueError` for files that cannot be used."""
        self._files = certificate, private_key or certificate
        self._context = self._read()

    def reload(self) -> None:
        """Read the files again, for connections made from now on. Raises as the constructor; the
        certificate that was read before then stays."""
        self._context = self._read()

    def _read(self) -> Any:
        chain_file, key_file = map(Path, self._files)
        chain = _PEM.findall(chain_file.read_bytes())
        key = _KEY.search(key_file.read_bytes())
        if not chain or not key:
            raise ValueError(f"{chain_file}, {key_file}: a certificate and its private key in PEM")
        try:
            first, *rest = (Certificate.loadPEM(one).original for one in chain)
            made = CertificateOptions(
                privateKey=KeyPair.load(key.group(), 1).original,
                certificate=first,
                extraCertChain=rest,
                raiseMinimumTo=TLSVersion.TLSv1_2,
                acceptableProtocols=[b"http/1.1"],
            )
            context = made.getContext()
            context.check_privatekey()
        except SSL.Error as error:
            raise ValueError(f"{chain_file}, {key_file}: {error}") from None
        return context

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:  # noqa: N802, N803
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)  # Twisted's choice of a protocol (ALPN) looks there
        return connection
