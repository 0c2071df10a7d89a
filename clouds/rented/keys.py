"""Our key for SSH: one pair per home, made at the first use. The private half never leaves it."""

from __future__ import annotations

from pathlib import Path

from stix.files import write_private

COMMENT = "stix"


class KeyPair:
    """The pair of one ``STIX_HOME``.

    Args:
        home: ``STIX_HOME``.
    """

    def __init__(self, home: Path) -> None:
        self.private_file = home / "keys" / "stix_ed25519"

    def public(self) -> str:
        """One line of OpenSSH. The same pair for all who ask at one time."""
        public = self.private_file.with_suffix(".pub")
        if not public.exists():
            self._make(public)
        return public.read_text().strip()

    def _make(self, public: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.private_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        # Of several makers one wins; the public half is always that of the file that is there.
        write_private(self.private_file, made, replace=False)
        key = serialization.load_ssh_private_key(self.private_file.read_bytes(), None)
        line = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        write_private(public, line.decode() + f" {COMMENT}\n")
