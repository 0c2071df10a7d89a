"""How to log in to an OpenStack: the variables of its clients, or their ``clouds.yaml``.

Source: openstacksdk's documentation of its configuration files and variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.errors import AuthError

FILES = ("clouds.yaml", "~/.config/openstack/clouds.yaml", "/etc/openstack/clouds.yaml")


@dataclass(frozen=True)
class Login:
    """An account.

    Attributes:
        url: Of Keystone, without the version.
        user: Name of the user, or id of an application credential.
        secret: Password, or secret of the application credential.
        application: Whether it is an application credential.
        domain: Of the user.
        region: Empty where nothing says which.
        source: Where it was found.
    """

    url: str = ""
    user: str = ""
    secret: str = field(default="", repr=False)
    application: bool = False
    project: str = ""
    domain: str = "Default"
    project_domain: str = "default"
    region: str = ""
    source: str = ""

    def __bool__(self) -> bool:
        return bool(self.url and self.user and self.secret and (self.application or self.project))


def find(cloud: str, usual: str = "") -> Login:
    """The account; false where there is none.

    Args:
        cloud: ``ovh`` takes only accounts of OVHcloud, and every other cloud the others, so that
            no machine belongs to two clouds.
        usual: Address where the variables name none.
    """
    name = os.environ.get("OS_CLOUD")
    found = _from_file(name) if name else _from_variables(usual)
    of_ovh = ".ovh." in found.url
    return found if found and of_ovh == (cloud == "ovh") else Login()


def need(cloud: str, usual: str = "") -> Login:
    """The account.

    Raises:
        AuthError: there is none.
    """
    found = find(cloud, usual)
    if not found:
        where = "with an address at OVHcloud" if cloud == "ovh" else "of a cloud that is not OVH"
        raise AuthError(
            f"{cloud}: no credentials",
            fix=f"set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME {where}, or OS_CLOUD",
        )
    return found


def _from_variables(usual: str) -> Login:
    get = os.environ.get
    url = get("OS_AUTH_URL") or usual
    region = get("OS_REGION_NAME", "")
    credential = get("OS_APPLICATION_CREDENTIAL_ID", "")
    if credential:
        secret = get("OS_APPLICATION_CREDENTIAL_SECRET", "")
        source = "$OS_APPLICATION_CREDENTIAL_ID"
        return Login(_bare(url), credential, secret, True, region=region, source=source)
    return Login(
        _bare(url),
        get("OS_USERNAME", ""),
        get("OS_PASSWORD", ""),
        project=get("OS_PROJECT_NAME") or get("OS_TENANT_NAME") or "",
        domain=get("OS_USER_DOMAIN_NAME") or "Default",
        project_domain=get("OS_PROJECT_DOMAIN_ID") or "default",
        region=region,
        source="$OS_USERNAME",
    )


def _from_file(name: str) -> Login:
    own = os.environ.get("OS_CLIENT_CONFIG_FILE")
    for place in (own,) if own else FILES:
        entry = _entry(Path(place).expanduser(), name)
        if entry is not None:
            return _read(entry, f"{place} ({name})")
    return Login()


def _entry(file: Path, name: str) -> Mapping[str, Any] | None:
    import yaml

    try:
        clouds = yaml.safe_load(file.read_text())["clouds"]
        return dict(clouds[name])
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError):
        return None


def _read(entry: Mapping[str, Any], source: str) -> Login:
    auth = {str(k): str(v) for k, v in (entry.get("auth") or {}).items()}
    url, region = _bare(auth.get("auth_url", "")), str(entry.get("region_name") or "")
    if credential := auth.get("application_credential_id"):
        secret = auth.get("application_credential_secret", "")
        return Login(url, credential, secret, True, region=region, source=source)
    return Login(
        url,
        auth.get("username", ""),
        auth.get("password", ""),
        project=auth.get("project_name", ""),
        domain=auth.get("user_domain_name") or "Default",
        project_domain=auth.get("project_domain_id") or "default",
        region=region,
        source=source,
    )


def _bare(url: str) -> str:
    """Libcloud adds the version itself."""
    return url.rstrip("/").removesuffix("/v3")
