"""What a machine is told at its first boot: our key, and nothing secret."""

from __future__ import annotations

from stix.clouds.errors import InvalidRequest


def cloud_init(public_key: str, user: str) -> str:
    """For cloud-init. The user is made where the image has none of that name.

    Source: cloud-init's documentation of ``users`` and ``ssh_authorized_keys``; ``default`` stands
    for the image's own user.
    """
    lines = ["#cloud-config", "ssh_authorized_keys:", f"  - {public_key}"]
    if user == "root":
        lines += ["disable_root: false"]
    else:
        lines += [
            "users:",
            "  - default",
            f"  - name: {user}",
            "    sudo: ALL=(ALL) NOPASSWD:ALL",
            "    shell: /bin/bash",
            "    ssh_authorized_keys:",
            f"      - {public_key}",
        ]
    return "\n".join(lines) + "\n"


def container_script(public_key: str) -> str:
    """For containers that have no sshd of their own running: a shell script that ends in sshd."""
    return "\n".join(
        (
            "set -e",
            "export DEBIAN_FRONTEND=noninteractive",
            "[ -x /usr/sbin/sshd ] || "
            "(apt-get update && apt-get install -y --no-install-recommends openssh-server)",
            "command -v python3 >/dev/null || apt-get install -y --no-install-recommends python3",
            "mkdir -p /root/.ssh /run/sshd; chmod 700 /root/.ssh",
            f"echo '{public_key}' >> /root/.ssh/authorized_keys",
            "chmod 600 /root/.ssh/authorized_keys; ssh-keygen -A",
            "exec /usr/sbin/sshd -D -o PermitRootLogin=prohibit-password",
        )
    )


def fitting(text: str, limit: int, cloud: str) -> str:
    """``text``, unless it is longer than the provider allows.

    Raises:
        InvalidRequest: it is.
    """
    size = len(text.encode())
    if size > limit:
        raise InvalidRequest(
            f"{cloud}: the script of the first boot has {size} bytes, and {limit} are allowed"
        )
    return text
