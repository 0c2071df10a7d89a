"""Calls of AWS on the wire: the query protocol of EC2 and STS, and JSON of SSM and quotas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

_SCOPE = re.compile(r"Credential=([^/]*)/\d+/([^/]*)/([^/]*)/aws4_request")
_NAMESPACE = re.compile(r"\{[^}]*\}")


@dataclass
class Call:
    """One call of a client.

    Attributes:
        number: From 0, in the order in which they came.
        service: ``ec2``, ``sts``, ``ssm``, ``servicequotas``.
        params: Of the query protocol: names such as ``Filter.1.Name``.
        body: Of the JSON protocol.
        killed: The client was killed; it gets no answer.
    """

    number: int
    key: str
    region: str
    service: str
    action: str
    params: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    killed: bool = False

    def encoded(self) -> bytes:
        return json.dumps(self.body).encode() if self.body else urlencode(self.params).encode()

    def values(self, name: str) -> list[str]:
        """``InstanceId.1``, ``InstanceId.2``, ... in their order."""
        pattern = re.compile(rf"{re.escape(name)}\.(\d+)")
        found = [(int(m[1]), v) for k, v in self.params.items() if (m := pattern.fullmatch(k))]
        return [value for _, value in sorted(found)]

    @property
    def changes(self) -> bool:
        """Whether it is more than a question."""
        return not self.action.startswith(("Describe", "Get", "List"))


@dataclass
class Answer:
    """What the client gets."""

    status: int = 200
    data: bytes = b""
    kind: str = "text/xml"


def read_call(number: int, headers: Mapping[str, str], data: bytes) -> Call:
    scope = _SCOPE.search(headers.get("authorization", ""))
    key, region, service = scope.groups() if scope else ("", "us-east-1", "")
    target = headers.get("x-amz-target", "")
    if target:
        body = json.loads(data or b"{}")
        return Call(number, key, region, service, target.rpartition(".")[2], body=body)
    params = dict(parse_qsl(data.decode(), keep_blank_values=True))
    return Call(number, key, region, service, params.get("Action", ""), params)


def refusal(call: Call, code: str, message: str = "", status: int = 400) -> Answer:
    """An error as the service writes it."""
    message = message or f"{code} of the test-bed"
    if call.body or call.service in ("ssm", "servicequotas"):
        data = json.dumps({"__type": code, "message": message}).encode()
        return Answer(status, data, "application/x-amz-json-1.1")
    inner = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    if call.service == "sts":
        text = f"<ErrorResponse>{inner}<RequestId>test</RequestId></ErrorResponse>"
    else:
        text = f"<Response><Errors>{inner}</Errors><RequestID>test</RequestID></Response>"
    return Answer(status, text.encode())


def as_json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), "application/x-amz-json-1.1")


def as_xml(action: str, inner: str) -> Answer:
    """An answer of EC2."""
    text = f"<{action}Response><requestId>test</requestId>{inner}</{action}Response>"
    return Answer(200, text.encode())


def parsed(data: bytes) -> ElementTree.Element:
    """XML without its namespaces, which no client looks at."""
    root = ElementTree.fromstring(data)
    for element in root.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
    return root


def put(parent: ElementTree.Element, path: str, text: str) -> None:
    """Set the text of an element, which is made where it is not there."""
    for name in path.split("/"):
        found = parent.find(name)
        parent = ElementTree.SubElement(parent, name) if found is None else found
    parent.text = text


def tag_specs(call: Call, kind: str) -> dict[str, str]:
    """The tags that ``TagSpecifications`` gives to one kind of resource."""
    tags = {}
    for name, value in call.params.items():
        spec = re.fullmatch(r"TagSpecification\.(\d+)\.ResourceType", name)
        if not spec or value != kind:
            continue
        for number in range(1, 51):
            prefix = f"TagSpecification.{spec[1]}.Tag.{number}"
            if f"{prefix}.Key" in call.params:
                tags[call.params[f"{prefix}.Key"]] = call.params.get(f"{prefix}.Value", "")
    return tags
