"""Certificates for tests, as files and as contexts."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass
class Authority:
    """An authority that has signed a server's certificate and a client's.

    Attributes:
        ca: The authority's certificate.
        server: The server's certificate and key, for localhost and 127.0.0.1.
        client: The client's.
    """

    ca: str
    server: str
    client: str

    def server_context(self, wants_client: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(self.server)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_authority(folder: Path) -> Authority:
    ca = trustme.CA()
    files = Authority(*(str(folder / f"{name}.pem") for name in ("ca", "server", "client")))
    ca.cert_pem.write_to_path(files.ca)
    for path, certificate in (
        (files.server, ca.issue_cert("localhost", "127.0.0.1", "::1")),
        (files.client, ca.issue_cert("client@example.com", common_name="a client")),
    ):
        certificate.private_key_and_cert_chain_pem.write_to_path(path)
    return files
