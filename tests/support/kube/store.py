"""The objects of the cluster: versions, selectors, pages, watchers; what etcd and storage do."""

from __future__ import annotations

import base64
import copy
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str, str]  # plural, namespace, name
KINDS = {
    "pods": "Pod",
    "services": "Service",
    "nodes": "Node",
    "events": "Event",
    "namespaces": "Namespace",
    "secrets": "Secret",
    "configmaps": "ConfigMap",
    "resourcequotas": "ResourceQuota",
    "persistentvolumeclaims": "PersistentVolumeClaim",
}
CLUSTER_WIDE = {"nodes", "namespaces"}
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
ANNOTATIONS_MAX = 256 * 1024
KEPT = 1000  # changes that a watch can start from


class Refusal(Exception):
    """An answer that is a ``Status`` of failure."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.headers: dict[str, str] = {}
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": code,
        }


@dataclass(frozen=True)
class Change:
    """One step of the history of a kind."""

    version: int
    type: str
    plural: str
    object: Object


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Store:
    """Objects by (plural, namespace, name). Everything runs in the server's one event loop."""

    objects: dict[Key, Object] = field(default_factory=dict)
    version: int = 100
    history: list[Change] = field(default_factory=list)
    oldest: int = 100
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    _pages: dict[str, list[Object]] = field(default_factory=dict)

    def get(self, plural: str, namespace: str, name: str) -> Object:
        try:
            return self.objects[plural, namespace, name]
        except KeyError:
            raise Refusal(
                404, "NotFound", f'{plural} "{name}" not found', name=name, kind=plural
            ) from None

    def add(self, plural: str, namespace: str, body: Object) -> Object:
        """Store a new object.

        Raises:
            Refusal: 409 where the name is taken, 422 where the object is not valid.
        """
        made = copy.deepcopy(body)
        meta = made.setdefault("metadata", {})
        if meta.get("generateName") and not meta.get("name"):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        _validate(plural, meta)
        name = meta["name"]
        if plural not in CLUSTER_WIDE and ("namespaces", "", namespace) not in self.objects:
            raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found', name=namespace)
        if (old := self.objects.get((plural, namespace, name))) is not None:
            prefix = "object is being deleted: " if old["metadata"].get("deletionTimestamp") else ""
            words = f'{prefix}{plural} "{name}" already exists'
            raise Refusal(409, "AlreadyExists", words, name=name, kind=plural)
        made["kind"], made["apiVersion"] = KINDS[plural], "v1"
        meta.update(uid=str(uuid.uuid4()), creationTimestamp=now())
        if plural not in CLUSTER_WIDE:
            meta["namespace"] = namespace
        self.objects[plural, namespace, name] = made
        self._changed("ADDED", plural, made)
        return made

    def touch(self, plural: str, item: Object) -> None:
        """Say that an object was changed in place."""
        self._changed("MODIFIED", plural, item)

    def remove(self, plural: str, item: Object) -> None:
        """Take an object away, and all that it alone owned."""
        meta = item["metadata"]
        key = (plural, meta.get("namespace", ""), meta["name"])
        if self.objects.get(key) is not item:  # gone already, or another one of its name
            return
        del self.objects[key]
        self._changed("DELETED", plural, item)
        alive = {other["metadata"]["uid"] for other in self.objects.values()}
        for (kind, _, _), other in list(self.objects.items()):
            owners = [o["uid"] for o in other["metadata"].get("ownerReferences", ())]
            if meta["uid"] in owners and not alive & set(owners):
                self.remove(kind, other)

    def listing(
        self, plural: str, namespace: str | None, query: Mapping[str, str]
    ) -> tuple[list[Object], str]:
        """What matches, one page of it, and where the next page begins.

        Raises:
            Refusal: 410 where the page was kept too long.
        """
        if token := query.get("continue"):
            key = base64.b64decode(token).decode()
            if key not in self._pages:
                words = "The provided continue parameter is too old to display a consistent list"
                raise Refusal(410, "Expired", words)
            items = self._pages.pop(key)
        else:
            wanted = selector(query)
            items = [
                item
                for (kind, space, _), item in sorted(self.objects.items())
                if kind == plural and namespace in (None, space) and wanted(item)
            ]
        limit = int(query.get("limit", "0") or 0)
        if not limit or len(items) <= limit:
            return items, ""
        key = uuid.uuid4().hex
        self._pages[key] = items[limit:]
        return items[:limit], base64.b64encode(key.encode()).decode()

    def forget(self) -> None:
        """Forget the past and all pages: who goes on from there gets 410."""
        self._pages.clear()
        self.history.clear()
        self.oldest = self.version + 1

    def since(self, plural: str, version: int) -> list[Change]:
        """Changes of a kind after ``version``.

        Raises:
            Refusal: 410 where they are not known any more.
        """
        if version < self.oldest - 1:
            words = f"too old resource version: {version} ({self.oldest})"
            raise Refusal(410, "Expired", words)
        return [c for c in self.history if c.plural == plural and c.version > version]

    def _changed(self, what: str, plural: str, item: Object) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        change = Change(self.version, what, plural, copy.deepcopy(item))
        self.history.append(change)
        if len(self.history) > KEPT:
            self.oldest = self.history.pop(0).version + 1
        for listener in list(self.listeners):
            listener(change)


def _validate(plural: str, meta: Object) -> None:
    kind, name = KINDS[plural], meta.get("name")
    causes = []
    longest = 63 if plural in ("services", "namespaces") else 253
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > longest:
        causes.append(f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 name is due')
    for key, value in (meta.get("labels") or {}).items():
        if not KEY.fullmatch(key):
            causes.append(f'metadata.labels: Invalid value: "{key}": name part must be valid')
        if not isinstance(value, str) or not LABEL.fullmatch(value):
            causes.append(f'metadata.labels: Invalid value: "{value}": must be a valid label')
    annotations = meta.get("annotations") or {}
    if sum(len(k) + len(v) for k, v in annotations.items()) > ANNOTATIONS_MAX:
        causes.append("metadata.annotations: Too long: must have at most 262144 bytes")
    causes += [
        f'metadata.annotations: Invalid value: "{key}": name part must be valid'
        for key in annotations
        if not KEY.fullmatch(key)
    ]
    if causes:
        words = f'{kind} "{name}" is invalid: {", ".join(causes)}'
        raise Refusal(422, "Invalid", words, name=name, kind=kind)


def selector(query: Mapping[str, str]) -> Callable[[Object], bool]:
    """What ``labelSelector`` and ``fieldSelector`` ask for."""
    labels = [_label_term(t) for t in _terms(query.get("labelSelector", ""))]
    fields = [_field_term(t) for t in _terms(query.get("fieldSelector", ""))]
    return lambda item: all(
        [term(item["metadata"].get("labels") or {}) for term in labels]
        + [term(item) for term in fields]
    )


def _terms(text: str) -> list[str]:
    return [term.strip() for term in re.split(r",(?![^(]*\))", text) if term.strip()]


def _label_term(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)", text):
        key, how, values = found.groups()
        wanted = {value.strip() for value in values.split(",")}
        return lambda labels: (labels.get(key) in wanted) == (how == "in")
    if found := re.fullmatch(r"([^=!]+)(!=|==|=)([^=]*)", text):
        key, how, value = (part.strip() for part in found.groups())
        if not LABEL.fullmatch(value):
            words = f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}"'
            raise Refusal(400, "BadRequest", words)
        return lambda labels: (labels.get(key) == value) == (how != "!=")
    if text.startswith("!"):
        return lambda labels: text[1:] not in labels
    return lambda labels: text in labels


def _field_term(text: str) -> Callable[[Object], bool]:
    path, how, value = re.fullmatch(r"([^=!]+)(!=|==|=)(.*)", text).groups()  # type: ignore[union-attr]

    def holds(item: Object) -> bool:
        found: Any = item
        for part in path.split("."):
            found = found.get(part, "") if isinstance(found, dict) else ""
        return (str(found) == value) == (how != "!=")

    return holds


def merge(into: Object, patch: Object) -> None:
    """A JSON merge patch (RFC 7386) in place; it serves for strategic ones of plain maps too."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = json.loads(json.dumps(value))
