"""Golden files of the conformance report, and the tables of the documentation made of them.

``python -m tests.spec.golden`` writes all of them anew. Those of documents of third parties need
the folder of ``documents.jsonl`` in ``STIX_SKY_CORPUS``, and stay as they are where it is absent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stix.spec.base import Spec
from stix.spec.changes.overrides import Overrides
from stix.spec.conformance import Report, report
from stix.spec.models import PipelineSpec
from stix.spec.recovery import JobRecovery
from stix.spec.resources import Resources
from stix.spec.stage import StageSpec
from stix.spec.statuses import TABLE, WHOLE, Cases, Status
from stix.spec.storage import StorageMount
from tests.spec.sky.rows import CORPUS, rows

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data"
PAGE = ROOT / "docs" / "skypilot-compatibility.md"
FORMS = DATA / "conformance_forms.txt"
DOCUMENTS = DATA / "conformance_documents.txt"
WORDS = ("used", "mapped", "refused")
GROUPS: dict[str, type[Spec]] = {
    "A task": StageSpec,
    "`resources`": Resources,
    "`resources.job_recovery`": JobRecovery,
    "An entry of `file_mounts`": StorageMount,
    "The header of several documents": PipelineSpec,
}
_STIX_ALONE = {
    "secret_references",
    *("needs", "matrix", "max_parallel", "allowed_failures", "when", "recovery", "cache"),
    *("timeout", "estimate", "defaults", "stages", "deadline"),
}


def report_of(row: dict[str, Any]) -> Report:
    """The report of a row of the data."""
    # The data gives one letter for what people would give: too short for the name of a bucket.
    envs = {name: value * 5 for name, value in (row.get("env_overrides") or {}).items()}
    given = Overrides(envs=envs, complete=False)
    return report(row["yaml"], "file.yaml", given)


def golden(name: str) -> str:
    """The golden text of ``forms`` or ``documents``: each document with its keys by status."""
    blocks = []
    for number, row in enumerate(rows(name), start=1):
        found = report_of(row)
        verdict = "runs" if found.ok else "is refused" if found.loaded else "is not valid"
        lines = [f"{row.get('id', number)} {verdict}"]
        keys = Counter((key.status, key.shape) for key in found.rows if not key.part)
        for word in WORDS:
            shown = [
                shape if count == 1 else f"{shape} x{count}"
                for (status, shape), count in sorted(keys.items())
                if status == word
            ]
            lines += [f"  {word}: {', '.join(shown)}"] if shown else []
        blocks.append("\n".join(lines))
    return "\n".join(blocks) + "\n"


def counts(text: str) -> Counter[str]:
    """Keys by status, and documents by what becomes of them, in a golden text."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        word, _, shapes = line.strip().partition(": ")
        if not line.startswith("  "):
            found[next(v for v in ("runs", "is refused", "is not valid") if line.endswith(v))] += 1
            continue
        for shape in shapes.split(", "):
            times = re.search(r" x(\d+)$", shape)
            found[word] += int(times.group(1)) if times else 1
    return found


def share_table() -> str:
    """How many keys of the data act."""
    lines = [
        "| | documents | of these run | keys | used | mapped | refused |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, path in (("short forms", FORMS), ("documents of the wild", DOCUMENTS)):
        found = counts(path.read_text(encoding="utf-8"))
        keys = sum(found[word] for word in WORDS)
        documents = sum(found[word] for word in ("runs", "is refused", "is not valid"))
        shares = (f"{found[word]} ({found[word] / keys:.0%})" for word in WORDS)
        lines.append(f"| {title} | {documents} | {found['runs']} | {keys} | {' | '.join(shares)} |")
    return "\n".join(lines)


def status_table() -> str:
    """Each key of SkyPilot with its status, from the table that the report and a run use."""
    blocks = []
    for title, model in GROUPS.items():
        lines = [f"**{title}**", "", "| key | status | to, or what to write | why |"]
        lines.append("|---|---|---|---|")
        if model in WHOLE:
            lines += list(_rows("the entry", WHOLE[model]))
        for name, rule in TABLE[model].items():
            hidden = name.startswith("egress_") or name in _STIX_ALONE
            hidden |= model is PipelineSpec and name in ("envs", "secrets")
            lines += [] if hidden else list(_rows(f"`{name}`", rule))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _rows(name: str, rule: Status | Cases) -> Iterator[str]:
    if isinstance(rule, Cases):
        for case, status in rule.cases.items():
            yield _line(f"{name}: {case}", status)
    else:
        yield _line(name, rule)


def _line(name: str, status: Status) -> str:
    to, why = (text.replace("{value}", "…").replace("|", "\\|") for text in (status.to, status.why))
    return f"| {name} | {status.word} | {to} | {why} |"


def with_tables(page: str) -> str:
    """The page of the documentation with its generated tables as they must be."""
    for name, table in (("shares", share_table()), ("statuses", status_table())):
        begin, end = f"<!-- {name}: generated -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def main() -> None:
    DATA.mkdir(exist_ok=True)
    FORMS.write_text(golden("forms"), encoding="utf-8")
    if CORPUS:
        DOCUMENTS.write_text(golden("documents"), encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
