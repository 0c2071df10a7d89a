"""Files of variables: what python-dotenv reads is read alike, and what it drops is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stix.spec.changes.envfile import MAX_BYTES, MAX_PROBLEMS, read
from stix.spec.problems import GivenErrors

ALIKE = [
    "A=1\nB = two words \n",
    "# comment\n\n  export A=1 # behind\nA#=1\n".replace("A#=1\n", ""),
    "A='single #1 \\' \\n'\nB=\"double \\n \\t \\\" \\\\ \\q\"\n",
    'KEY="line one\nline two\n"\nB=2\n',
    "KEY='-----BEGIN-----\nabc==\n-----END-----'\n",
    "A=\nB=''\nC=\"\"\nD= # nothing\nE=#kept\nF=a#b\nG=a #c\n",
    "A=1\nA=2\nB=${A}-${NOT_THERE_AT_ALL}-${NOT_THERE:-else}-$A\n",
    "A='${HOME}'\nB=\"${HOME}\"\nC=${HOME}/x\n",
    "'A'=1\nexport   B=2\nexported=3\n",
    "A=1\r\nB='x\r\ny'\r\nC=3",
    "\ufeffA=1\n",
    "A=a=b=c\nB=\tx\t\n",
    "A=it's\nB=say \"hi\"\nC=x'y'\n",
    "A='x' # behind\nB=\"y\"# behind\n",
    "",
]


@pytest.mark.parametrize("text", ALIKE)
def test_as_python_dotenv_reads_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "file.env"
    file.write_text(text, newline="")
    assert read("--env-file", str(file)) == dotenv_values(file)


WRONG = {
    "no_equals": ("A=1\nTOKEN hunter2\n", 2, 6, "= is missing behind the name"),
    "name_alone": ("A=1\nTOKEN\n", 2, 6, "or NAME= for an empty one"),
    "not_a_name": ("A=1\n  hunter2-x=1\n", 2, 3, "does not begin with a name"),
    "digit": ("1A=hunter2\n", 1, 1, "does not begin with a name"),
    "no_name": ("=hunter2\n", 1, 1, "the line has no name"),
    "open_double": ('A=1\nB="hunter2\nC=2\n', 2, 3, 'close it with "'),
    "open_single": ("A='hunter2\n", 1, 3, "close it with '"),
    "behind_quotes": ('A="x" hunter2\nB=1\n', 1, 6, "follows the quoted value of A"),
    "lost_line": ("A=one\nhunter2 is here\n", 2, 8, "= is missing"),
    "nul": ("A=hunter2\0\n", 1, 1, "NUL"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_line_that_gives_no_variable(case: str, tmp_path: Path) -> None:
    text, line, column, words = WRONG[case]
    file = tmp_path / "file.env"
    file.write_text(text)
    with pytest.raises(GivenErrors) as caught:
        read("--secret-file", str(file))
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(file), line, column)
    assert words in problem.message + problem.fix
    assert caught.value.exit_code == 2
    assert "hunter2" not in str(caught.value)


def test_every_wrong_line_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "file.env"
    file.write_text("one\nB=2\n-x=3\nfour\n")
    with pytest.raises(GivenErrors) as caught:
        read("--env-file", str(file))
    assert [p.line for p in caught.value.problems] == [1, 3, 4]


def test_a_file_that_is_no_file_of_variables(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"A=1\nB=\xff\n")
    (tmp_path / "large").write_bytes(b"A=" + b"x" * MAX_BYTES)
    (tmp_path / "list").write_text("a\n" * 10_000)
    for name, words in {
        "": "folder",
        "gone": "--env-file",
        "binary": ":2:3: error: the file is not UTF-8",
        "large": "1 MiB",
    }.items():
        with pytest.raises(GivenErrors, match=words):
            read("--env-file", str(tmp_path / name))
    with pytest.raises(GivenErrors) as caught:
        read("--env-file", str(tmp_path / "list"))
    assert len(caught.value.problems) == MAX_PROBLEMS


@pytest.mark.parametrize("path", ["x" * 5000, "~no-such-user-at-all/.env", "a\0b"])
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(GivenErrors, match="check the path behind --env-file"):
        read("--env-file", path)


def test_a_path_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".env").write_text("A=1")
    assert read("--env-file", "~/.env") == {"A": "1"}


PIECES = st.sampled_from(
    [*"AB_=#'\"\\ \t\n", "export ", "${A}", "${A:-d}", "\\n", "x=1\n", "K='v'\n", "\r\n", "é"]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(pieces=["A= \t#x"])
@example(pieces=["export ", "#"])
@example(pieces=["A='\\'"])
@given(pieces=st.lists(PIECES, max_size=25))
def test_any_text_is_read_as_python_dotenv_does_or_refused(
    pieces: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "file.env"
    file.write_text("".join(pieces), newline="")
    try:
        mine = read("--env-file", str(file))
    except GivenErrors:
        # The other reader drops a line here, or has a name without a value or that is no name.
        with file.open() as stream:
            found = list(parse_stream(stream))
        assert any(
            b.error
            or (b.key is not None and (b.value is None or not b.key.isidentifier()))
            or (b.key is not None and not b.key.isascii())
            for b in found
        )
    else:
        assert mine == dotenv_values(file)
