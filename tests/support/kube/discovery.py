"""What a foreign client asks first: versions, groups, resources, and a sketch of the schema."""

from __future__ import annotations

from typing import Any

from tests.support.kube.store import CLUSTER_WIDE, KINDS

SHORT = {"pods": ["po"], "services": ["svc"], "nodes": ["no"], "events": ["ev"]}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
SUBRESOURCES = ("pods/exec", "pods/log", "pods/status", "pods/eviction")


def document(path: str) -> dict[str, Any] | None:
    """The document of a path; None where the path is no discovery."""
    documents: dict[str, dict[str, Any]] = {
        "version": {
            "major": "1",
            "minor": "32",
            "gitVersion": "v1.32.4",
            "gitCommit": "0",
            "gitTreeState": "clean",
            "buildDate": "2025-04-22T16:00:00Z",
            "goVersion": "go1.23",
            "compiler": "gc",
            "platform": "linux/amd64",
        },
        "api": {"kind": "APIVersions", "versions": ["v1"]},
        "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "api/v1": {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": "v1",
            "resources": _resources(),
        },
        "openapi/v3": {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}},
        "openapi/v3/api/v1": _schema(),
    }
    return documents.get(path)


def _resources() -> list[dict[str, Any]]:
    plain = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": plural not in CLUSTER_WIDE,
            "kind": kind,
            "verbs": VERBS,
            "shortNames": SHORT.get(plural, []),
        }
        for plural, kind in KINDS.items()
    ]
    below = [
        {"name": name, "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["create"]}
        for name in SUBRESOURCES
    ]
    return [*plain, *below]


def _schema() -> dict[str, Any]:
    """Enough for a client to see that the server itself checks fields."""
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    paths = {}
    for plural, kind in KINDS.items():
        operation = {
            "parameters": [parameter],
            "responses": {},
            "x-kubernetes-group-version-kind": {"group": "", "version": "v1", "kind": kind},
            "x-kubernetes-action": "post",
        }
        where = "" if plural in CLUSTER_WIDE else "/namespaces/{namespace}"
        paths[f"/api/v1{where}/{plural}"] = {"post": operation}
        paths[f"/api/v1{where}/{plural}/{{name}}"] = {
            "patch": {**operation, "x-kubernetes-action": "patch"}
        }
    info = {"title": "Kubernetes", "version": "v1.32.4"}
    return {"openapi": "3.0.0", "info": info, "paths": paths}
