from __future__ import annotations

import base64
import io
import json
import logging
import stat
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stix.errors import UsageError
from stix.secrets import RedactingFilter, Redactor, Vault, VaultError

VALUE = "s3cr3t/+with =odd&chars"


def test_vault_keeps_and_forgets(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    assert vault.get("run-1") == {} and vault.names() == []
    vault.put("run-1", {"KEY": VALUE, "EMPTY": ""})
    vault.put("run-2", {"OTHER": "ü"})
    assert Vault(tmp_path / "vault").get("run-1") == {"KEY": VALUE, "EMPTY": ""}
    assert vault.names() == ["run-1", "run-2"]
    vault.delete("run-1")
    vault.delete("run-1")
    assert vault.get("run-1") == {} and vault.get("run-2") == {"OTHER": "ü"}


def test_vault_files_are_private_and_unreadable(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    vault.put("run-1", {"KEY": VALUE})
    for path in (tmp_path / "vault").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert VALUE.encode() not in path.read_bytes()
        assert base64.b64encode(VALUE.encode()) not in path.read_bytes()
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
    assert VALUE not in repr(vault) and VALUE not in repr(Redactor([VALUE]))


def test_vault_refuses_what_was_changed(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.put("run-1", {"KEY": VALUE})
    (tmp_path / "run-1").write_bytes((tmp_path / "run-1").read_bytes()[:-4] + b"AAA=")
    with pytest.raises(VaultError) as refused:
        vault.get("run-1")
    assert VALUE not in str(refused.value)


@pytest.mark.parametrize("name", ["", "key", "../x", "a/b", ".hidden", "-x"])
def test_vault_takes_ids_of_runs_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Vault(tmp_path).put(name, {"KEY": "v"})


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        quote(VALUE, safe=""),
        quote(VALUE),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        json.dumps({"k": VALUE}),
    ],
)
def test_forms_of_a_secret_are_replaced(form: str) -> None:
    redacted = Redactor([VALUE]).text(f"before {form} after")
    assert redacted.startswith("before ") and redacted.endswith(" after")
    assert "***" in redacted and form not in redacted and VALUE not in redacted


@given(st.binary(max_size=5), st.binary(max_size=5))
def test_base64_of_a_text_around_the_secret(before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + VALUE.encode() + after).decode()
    redacted = Redactor([VALUE]).text(encoded)
    inside = base64.b64encode(b"\0" * (len(before) % 3) + VALUE.encode()).decode()[4:-4]
    assert inside in encoded and inside not in redacted


def test_lines_of_a_secret_and_short_ones() -> None:
    redactor = Redactor(["first line\nsecond line\n", "abc", "", "  "])
    assert redactor.text("x second line y abc") == "x *** y abc"
    assert Redactor([]).text("as it is") == "as it is"
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == "*** ***"


@given(
    st.lists(st.sampled_from(["abcd", "abcdefgh", "cdefab", "xyxyxyz"]), min_size=1, unique=True),
    st.text(alphabet="abcdefghxyz ", max_size=60),
    st.data(),
)
def test_a_stream_gives_what_the_whole_would(
    secrets: list[str], text: str, data: st.DataObject
) -> None:
    redactor = Redactor(secrets)
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    stream = redactor.stream()
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    out = b"".join([*(stream.feed(piece) for piece in pieces), stream.close()])
    for secret in secrets:
        assert secret.encode() not in out
    assert out == redactor.bytes(raw)


def test_a_stream_holds_back_only_what_may_be_a_secret() -> None:
    stream = Redactor(["hidden-value"]).stream()
    assert stream.feed(b"ready\n> ") == b"ready\n> "
    assert stream.feed(b"my hid") == b"my "
    assert stream.feed(b"ing place") == b"hiding place"
    assert stream.feed(b" hidden-va") == b" "
    assert stream.feed(b"lue.") == b"***."
    assert stream.close() == b""


def test_log_records_and_exceptions(tmp_path: Path) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter(Redactor([VALUE])))
    log = logging.getLogger(f"test-{tmp_path.name}")
    log.propagate = False
    log.addHandler(handler)
    try:
        raise ValueError(f"cannot use {VALUE}")
    except ValueError:
        log.exception("with %s", VALUE)
    assert VALUE not in out.getvalue()
    assert "with ***" in out.getvalue() and "cannot use ***" in out.getvalue()
