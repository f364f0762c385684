"""Write the certificate that typhoon.testing serves TLS with.

Run it as `python tools/make_test_certificate.py`, with `cryptography` installed.
It is self-signed, for localhost and the loopback addresses, and valid for as good as ever.
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER = Path(__file__).parent.parent / "src" / "typhoon" / "testing"

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Typhoon test certificate"),
        x509.NameAttribute(NameOID.COMMON_NAME, "localhost"),
    ]
)
names = [
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
]
usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(datetime.datetime(2020, 1, 1))
    .not_valid_after(datetime.datetime(2120, 1, 1))
    .add_extension(x509.SubjectAlternativeName(names), critical=False)
    .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    .add_extension(usage, critical=True)
    .add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        critical=False,
    )
    .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    .sign(key, hashes.SHA256())
)
(FOLDER / "localhost.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
(FOLDER / "localhost.key").write_bytes(
    key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
)
