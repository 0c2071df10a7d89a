"""An authority, a server's certificate and a client's, made for one test run."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Certificates:
    """Files in PEM below one folder."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def pair(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of ``server`` or ``client``."""
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    @classmethod
    def make(cls, folder: Path, user: str) -> Certificates:
        made = cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _sign("test authority", key.public_key(), None, key)
        made.ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        for name, subject in (("server", "kube-apiserver"), ("client", user)):
            own = ec.generate_private_key(ec.SECP256R1())
            signed = _sign(subject, own.public_key(), authority, key)
            cert, file = made.pair(name)
            cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
            file.touch(mode=0o600)
            file.write_bytes(
                own.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return made

    def server_context(self) -> ssl.SSLContext:
        """TLS that asks for a client's certificate and takes connections without one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pair("server"))
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


def _sign(
    subject: str,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate | None,
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer else name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFE)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
    )
    keys = x509.SubjectKeyIdentifier.from_public_key(public)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.add_extension(keys, critical=False).add_extension(above, critical=False)
    return builder.sign(key, hashes.SHA256())
