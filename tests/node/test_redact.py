"""No secret value shows, wherever the chunks are cut."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stix.node.agent.redact import Redactor
from stix.remote.agent import AgentClient, JobStart
from tests.support.agents import output

SECRETS = ["s3cret", "s3cretlonger", "abcab", "cabcd", "aaa"]


def feed(parts: list[bytes], secrets: list[str]) -> bytes:
    redactor = Redactor(secrets)
    return b"".join([redactor.feed(part) for part in parts] + [redactor.finish()])


@given(
    st.lists(st.sampled_from([*SECRETS, "s3", "cret", "a", "b", "c", "x", "ab", "\n"])),
    st.lists(st.integers(0, 200)),
)
def test_any_cut_gives_the_same(words: list[str], cuts: list[int]) -> None:
    text = "".join(words).encode()
    edges = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    parts = [text[a:b] for a, b in pairwise(edges)]
    got = feed(parts, SECRETS)
    assert got == feed([text], SECRETS)
    for secret in SECRETS:
        assert secret.encode() not in got


def test_text_without_secrets_is_untouched() -> None:
    assert feed([b"hello", b" world"], ["other"]) == b"hello world"


@pytest.mark.parametrize("before", ["", "x", "xy", "user:"])
def test_encoded_values(before: str) -> None:
    secret = 'to+k/en&= "%\u00fc" 5f5f5f5f'
    text = f"{before}{secret}"
    for encoded in (
        base64.b64encode(text.encode()).decode(),
        base64.urlsafe_b64encode(text.encode()).decode(),
        quote(text),
        quote(text, safe=""),
        quote_plus(text),
        json.dumps(text),
    ):
        raw = encoded.encode()
        for cut in range(len(raw)):
            got = feed([raw[:cut], raw[cut:]], [secret])
            assert b"***" in got
            # What is left holds bits of the neighbours in its first and last characters only.
            assert len(got) <= len("***") + len(quote(before)) + 8


def test_lines_of_a_key_file() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBBCCCC\nDDDDEEEE\n-----END KEY-----\n"
    got = feed([b"x AAAABBBBCCCC y DDDDEEEE\n"], [key])
    assert got == b"x *** y ***\n"


def test_short_values_are_left() -> None:
    assert feed([b"a 1 yes"], ["1", "", "  "]) == b"a 1 yes"


async def test_output_of_a_job(client: AgentClient) -> None:
    secret = "tok-" + "5f" * 20
    script = """
printf 'one %s\\n' "$S"
printf '%s' "${S:0:10}"; sleep 0.2; printf '%s\\n' "${S:10}"
for i in 1 2 3; do printf '%s' "$S"; done
printf '%s' "${S:0:6}"
"""
    await client.start(JobStart("r/a", script, secrets={"S": secret}))
    data, status = await output(client, "r/a")
    assert data == b"one ***\n***\n*********" + secret[:6].encode()
    assert status.exit_code == 0
