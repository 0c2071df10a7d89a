"""Artifacts and their garbage collection against a model: deaths and meetings at every step."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stix.storage.artifacts import ArtifactStore, Timing, Wish
from stix.storage.artifacts.manifest import sha256
from stix.storage.base import Corrupt, StorageError
from tests.storage.frail import Crash, Fate, FrailStore, files, flipped, grow_old

TIMING = Timing(fresh_s=100, hold_s=0.3, sweep_s=0.2)
BLOBS = [b"", b"one", b"two" * 9, b"three", b"four" * 99]
trees = st.dictionaries(st.sampled_from("abc"), st.sampled_from(BLOBS), min_size=1, max_size=3)
moments = st.integers(0, 60)


class Artifacts(RuleBasedStateMachine):
    """Roots are recorded right after a commit, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="stix-model-"))
        self.store = self.folder / "store"
        self.roots: set[str] = set()
        self.young: dict[str, float] = {}
        self.trees = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def open(self, fate: Fate | None = None) -> ArtifactStore:
        return ArtifactStore.over(FrailStore(fate or Fate()), self.store.as_uri(), TIMING)

    def make(self, tree: dict[str, bytes]) -> Path:
        self.trees += 1
        path = self.folder / f"tree{self.trees}"
        path.mkdir()
        for name, data in tree.items():
            (path / name).write_bytes(data)
        return path

    def put(self, tree: dict[str, bytes], fate: Fate | None = None, root: bool = True) -> None:
        """A writer that may die; what it reports is committed."""
        fate = fate or Fate()
        with suppress(Crash):
            digest = self.open(fate).put_path(self.make(tree)).digest
            self.young[digest] = 0.0
            if root:
                self.roots.add(digest)
        fate.end()

    def collect(self, fate: Fate | None = None) -> None:
        """A collection that may die, or be held up."""
        fate = fate or Fate()
        with suppress(Crash, StorageError):
            self.open(fate).gc(Wish(lambda: set(self.roots)))
        fate.end()

    def keep(self, digest: str) -> None:
        if self.open().keep(digest):
            self.young[digest] = 0.0
            self.roots.add(digest)

    @rule(tree=trees, root=st.booleans())
    def writes(self, tree: dict[str, bytes], root: bool) -> None:
        self.put(tree, root=root)
        again = self.open().put_path(self.make(tree))
        assert again.new_bytes == 0

    @rule(tree=trees, moment=moments)
    def dies_writing(self, tree: dict[str, bytes], moment: int) -> None:
        self.put(tree, Fate(crash=moment))

    @rule(tree=trees, moment=moments, death=st.none() | moments)
    def meets_a_collection(self, tree: dict[str, bytes], moment: int, death: int | None) -> None:
        self.put(tree, Fate(None, moment, lambda: self.collect(Fate(crash=death))))

    @rule()
    def collects(self) -> None:
        self.collect()

    @rule(moment=moments)
    def dies_collecting(self, moment: int) -> None:
        self.collect(Fate(crash=moment))

    @rule(tree=trees, moment=moments, briefly=st.booleans())
    def meets_a_writer(self, tree: dict[str, bytes], moment: int, briefly: bool) -> None:
        self.collect(Fate(None, moment, lambda: self.put(tree), briefly=briefly))

    @rule(data=st.data(), moment=moments, briefly=st.booleans())
    def meets_a_keeper(self, data: st.DataObject, moment: int, briefly: bool) -> None:
        digest = data.draw(st.sampled_from([*self.open().ls(), "0" * 64]))
        self.collect(Fate(None, moment, lambda: self.keep(digest), briefly=briefly))

    @rule(moment=moments)
    def meets_another(self, moment: int) -> None:
        self.collect(Fate(None, moment, self.collect))

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def forgets(self, data: st.DataObject) -> None:
        self.roots.discard(data.draw(st.sampled_from(sorted(self.roots))))

    @rule(seconds=st.sampled_from([60, 150, 420]))
    def time_passes(self, seconds: int) -> None:
        grow_old(self.store, seconds)
        self.young = {d: age + seconds for d, age in self.young.items()}

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), offset=st.integers(0, 10_000))
    def verify_finds_a_flipped_byte(self, data: st.DataObject, offset: int) -> None:
        store = self.open()
        digest = data.draw(st.sampled_from(sorted(self.roots)))
        manifest = store.manifest(digest)
        chunks = sorted({c for entry in manifest.entries for c in entry.chunks})
        name = data.draw(st.sampled_from([f"{digest}.json", *chunks]))
        (path,) = self.store.rglob(name)
        with flipped(path, offset), pytest.raises(Corrupt):
            store.verify(digest)

    @invariant()
    def what_is_visible_is_whole(self) -> None:
        store = self.open()
        visible = set(store.ls())
        assert self.roots <= visible
        # Who just got a digest has the time of two `fresh_s` to record it.
        assert {d for d, age in self.young.items() if age < 2 * TIMING.fresh_s} <= visible
        for digest in visible:
            store.verify(digest)
        chunks = [path for path in files(self.store / "chunks") if len(path.name) == 64]
        assert all(sha256(path.read_bytes()) == path.name for path in chunks)
        assert len({path.name for path in chunks}) == len(chunks)


TestArtifacts = Artifacts.TestCase
TestArtifacts.settings = settings(
    max_examples=60,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def _store(root: Path, fate: Fate | None = None) -> ArtifactStore:
    return ArtifactStore.over(FrailStore(fate or Fate()), root.as_uri(), TIMING)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in "abc":
        (tree / name).write_bytes(name.encode() * 100)
    return tree


def _write(root: Path, tree: Path, done: list[str]) -> None:
    done.append(_store(root).put_path(tree).digest)


def _keep(root: Path, digest: str, done: list[str]) -> None:
    done.append(digest if _store(root).keep(digest) else "")


def _collect(root: Path, freed: list[int]) -> None:
    freed.append(_store(root).gc(Wish(frozenset)).bytes)


@pytest.mark.parametrize("briefly", [False, True])
@pytest.mark.parametrize("who", ["writer", "keeper"])
def test_a_collection_is_met_at_each_of_its_operations(
    root: Path, tree: Path, who: str, briefly: bool
) -> None:
    """An old artifact without a root is wanted again while it is collected."""
    moment, met, spared = 0, True, 0
    while met:
        shutil.rmtree(root, ignore_errors=True)
        digest = _store(root).put_path(tree).digest
        grow_old(root, 1000)
        done: list[str] = []
        meanwhile = {
            "writer": partial(_write, root, tree, done),
            "keeper": partial(_keep, root, digest, done),
        }
        fate = Fate(None, moment, meanwhile[who], briefly=briefly)
        with suppress(StorageError):
            _store(root, fate).gc(Wish(frozenset))
        fate.end()
        met = bool(done)
        if done == [digest]:
            spared += 1
            _store(root).verify(digest)
        assert who == "keeper" or done in ([digest], [])
        moment += 1
    assert moment > 20
    assert 5 < spared < moment or who == "writer"


def test_a_writer_meets_a_collection_at_each_of_its_operations(root: Path, tree: Path) -> None:
    moment, met = 0, True
    while met:
        shutil.rmtree(root, ignore_errors=True)
        _store(root).put_path(tree)
        grow_old(root, 1000)
        freed: list[int] = []
        fate = Fate(None, moment, partial(_collect, root, freed))
        digest = _store(root, fate).put_path(tree).digest
        fate.end()
        _store(root).verify(digest)
        met = bool(freed)
        moment += 1
    assert moment > 8


def test_what_is_freed_is_told_and_a_dry_run_deletes_nothing(root: Path) -> None:
    store = _store(root)
    kept = store.put_bytes(b"kept", "f").digest
    gone = store.put_bytes(b"gone!", "f").digest
    grow_old(root, 1000)
    young = store.put_bytes(b"young", "f").digest
    before = {path: path.stat().st_mtime for path in files(root)}
    wish = Wish(lambda: {kept}, dry_run=True)
    would = store.gc(wish)
    assert {path: path.stat().st_mtime for path in files(root)} == before
    size = sum(path.stat().st_size for path in files(root))
    told: list[tuple[str, int, int]] = []
    did = store.gc(Wish(lambda: {kept}, tell=lambda *what: told.append(what)))
    assert (would.artifacts, would.chunks, would.bytes) == ({gone: 5}, 1, did.bytes)
    assert (did.artifacts, did.chunks, did.kept) == ({gone: 5}, 1, 2)
    stored = [path for path in files(root) if path.parent.parent.name in {"chunks", "manifests"}]
    assert size - did.bytes == sum(path.stat().st_size for path in stored)
    assert store.ls() == sorted([kept, young])
    assert ("manifests", 1, 1) in told and ("chunks", 1, 1) in told


def test_an_unreadable_manifest_saves_all_chunks(root: Path) -> None:
    store = _store(root)
    digest = store.put_bytes(b"data", "f").digest
    store.put_bytes(b"other", "f")
    grow_old(root, 1000)
    (path,) = root.rglob(f"{digest}.json")
    with flipped(path, 5), pytest.raises(Corrupt, match=digest[:12]):
        store.gc(Wish(lambda: {digest}))
    assert len(files(root / "chunks")) == 2
    store.verify(digest)


def test_what_the_dead_left_goes_when_it_is_old(root: Path) -> None:
    store = _store(root)
    digest = store.put_bytes(b"data", "f").digest
    left = root / "chunks" / "ab" / f".{'0' * 16}.tmp"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    grow_old(root, 1000)
    assert store.keep(digest)
    with pytest.raises(Crash):
        _store(root, Fate(crash=3)).gc(Wish(frozenset))
    assert store.gc(Wish(frozenset)).artifacts == {}  # the pin spares it
    assert not left.exists()
    grow_old(root, 1000)
    assert store.gc(Wish(frozenset)).artifacts == {digest: 4}
    assert [path.parent.name for path in files(root)] == ["gc"]
    assert not store.keep(digest)
