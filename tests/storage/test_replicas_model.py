"""Two stores of artifacts against a model: writers, copies and collections that die anywhere."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stix.plan.regions import Place
from stix.storage.artifacts import ArtifactStore, Member, Replicas, Timing, Wish
from stix.storage.base import StorageError
from tests.storage.frail import Crash, Fate, FrailStore, grow_old

TIMING = Timing(fresh_s=100, hold_s=0.3, sweep_s=0.2)
BLOBS = [b"", b"one", b"two" * 9, b"three", b"four" * 99]
PLACES = (Place("aws", "us-east-1"), Place("gcp", "us-central1"))
trees = st.dictionaries(st.sampled_from("abc"), st.sampled_from(BLOBS), min_size=1, max_size=3)
moments = st.integers(0, 60)
sides = st.integers(0, 1)


class Two(RuleBasedStateMachine):
    """Who is told that a store has an artifact records it as a root at once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="stix-model-"))
        self.roots: dict[str, set[int]] = {}
        self.content: dict[str, dict[str, bytes]] = {}
        self.trees = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def at(self, side: int) -> Path:
        return self.folder / f"store{side}"

    def store(self, side: int, fate: Fate | None = None) -> ArtifactStore:
        return ArtifactStore.over(FrailStore(fate or Fate()), self.at(side).as_uri(), TIMING)

    def open(self, fate: Fate | None = None, copies: int = 1) -> Replicas:
        """Both stores, which share one fate: the process dies, and not a store."""
        fate = fate or Fate()
        places = enumerate(PLACES)
        return Replicas([Member(self.store(n, fate), place) for n, place in places], copies)

    def note(self, digest: str, *there: int) -> None:
        self.roots.setdefault(digest, set()).update(there)

    def put(self, tree: dict[str, bytes], side: int, copies: int, fate: Fate | None = None) -> None:
        self.trees += 1
        path = self.folder / f"tree{self.trees}"
        path.mkdir()
        for name, data in tree.items():
            (path / name).write_bytes(data)
        fate = fate or Fate()
        with suppress(Crash):
            digest = self.open(fate, copies).near(PLACES[side]).put_path(path).digest
            self.content[digest] = tree
            self.note(digest, *((0, 1) if copies == 2 else (side,)))
        fate.end()

    def collect(self, fate: Fate | None = None) -> None:
        fate = fate or Fate()
        with suppress(Crash, StorageError):
            self.open(fate).gc(Wish(lambda: set(self.roots)))
        fate.end()

    def replicate(self, digest: str, side: int, fate: Fate | None = None) -> None:
        fate = fate or Fate()
        with suppress(Crash):
            self.open(fate).replicate(digest, self.at(side).as_uri())
            self.note(digest, side)
        fate.end()

    @rule(tree=trees, side=sides, copies=st.integers(1, 2))
    def writes(self, tree: dict[str, bytes], side: int, copies: int) -> None:
        self.put(tree, side, copies)

    @rule(tree=trees, side=sides, moment=moments)
    def dies_writing(self, tree: dict[str, bytes], side: int, moment: int) -> None:
        self.put(tree, side, 2, Fate(crash=moment))

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), side=sides, moment=st.none() | moments)
    def copies(self, data: st.DataObject, side: int, moment: int | None) -> None:
        """A copy that may die at any of its writes, or reads."""
        digest = data.draw(st.sampled_from(sorted(self.roots)))
        self.replicate(digest, side, Fate(crash=moment))

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), side=sides, moment=moments, death=st.none() | moments)
    def copies_beside_a_collection(
        self, data: st.DataObject, side: int, moment: int, death: int | None
    ) -> None:
        digest = data.draw(st.sampled_from(sorted(self.roots)))
        self.replicate(digest, side, Fate(None, moment, lambda: self.collect(Fate(crash=death))))

    @rule(moment=st.none() | moments)
    def collects(self, moment: int | None) -> None:
        self.collect(Fate(crash=moment))

    @precondition(lambda self: self.roots)
    @rule(data=st.data(), side=sides, moment=moments, briefly=st.booleans())
    def collects_beside_a_copy(
        self, data: st.DataObject, side: int, moment: int, briefly: bool
    ) -> None:
        digest = data.draw(st.sampled_from(sorted(self.roots)))
        fate = Fate(None, moment, lambda: self.replicate(digest, side), briefly=briefly)
        self.collect(fate)

    @precondition(lambda self: self.roots)
    @rule(data=st.data())
    def forgets(self, data: st.DataObject) -> None:
        del self.roots[data.draw(st.sampled_from(sorted(self.roots)))]

    @rule(seconds=st.sampled_from([60, 150, 420]))
    def time_passes(self, seconds: int) -> None:
        for side in (0, 1):
            grow_old(self.at(side), seconds)

    @precondition(lambda self: any(len(there) == 2 for there in self.roots.values()))
    @rule(data=st.data(), side=sides, missing=st.booleans())
    def reads_around_damage(self, data: st.DataObject, side: int, missing: bool) -> None:
        """The nearest store has lost or damaged a part: what is read is right, and it is mended."""
        twice = sorted(digest for digest, there in self.roots.items() if len(there) == 2)
        digest = data.draw(st.sampled_from(twice))
        manifest = self.store(side).manifest(digest)
        chunks = sorted({c for entry in manifest.entries for c in entry.chunks})
        # A replica whose manifest is missing is none, and is not mended.
        names = chunks if missing and chunks else [f"{digest}.json", *chunks]
        name = data.draw(st.sampled_from(names))
        missing = missing and bool(chunks)
        (path,) = self.at(side).rglob(name)
        path.unlink() if missing else path.write_bytes(b"something else")
        target = self.folder / "read"
        self.open().near(PLACES[side]).get(digest, target, replace=True)
        assert {p.name: p.read_bytes() for p in target.iterdir()} == self.content[digest]

    @invariant()
    def what_is_visible_is_whole_in_each_store(self) -> None:
        for side in (0, 1):
            store = self.store(side)
            visible = set(store.ls())
            assert {d for d, there in self.roots.items() if side in there} <= visible
            for digest in visible:
                store.verify(digest)

    @precondition(lambda self: self.roots)
    @invariant()
    def what_a_root_names_can_be_read_from_anywhere(self) -> None:
        both = self.open()
        for digest in self.roots:
            names = [entry.path for entry in both.near(PLACES[1]).manifest(digest).entries]
            assert names == sorted(self.content[digest])


TestTwo = Two.TestCase
TestTwo.settings = settings(
    max_examples=20,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_a_copy_that_dies_at_any_operation_is_not_there(tmp_path: Path) -> None:
    """Until it has ended the replica is nothing; then it is whole. The next try goes on."""
    source = ArtifactStore((tmp_path / "one").as_uri(), fsync=False)
    digest = source.put_path(_tree(tmp_path)).digest
    moment, died, kept = 0, True, 0
    while died:
        target = tmp_path / f"two{moment}"
        frail = ArtifactStore.over(FrailStore(Fate(crash=moment)), target.as_uri(), TIMING)
        both = Replicas([Member(source, PLACES[0]), Member(frail, PLACES[1])])
        died = False
        try:
            both.replicate(digest, target.as_uri())
        except Crash:
            died = True
        after = ArtifactStore.over(FrailStore(Fate()), target.as_uri(), TIMING)
        if after.has(digest):
            after.verify(digest)
            kept += 1
        sound = Replicas([Member(source, PLACES[0]), Member(after, PLACES[1])])
        again = sound.replicate(digest, target.as_uri())
        assert again.new_bytes <= again.bytes
        after.verify(digest)
        moment += 1
    assert moment > 10 and 1 <= kept < moment / 2


@pytest.mark.parametrize("who", ["copy", "collection"])
def test_a_copy_and_a_collection_meet_at_each_operation(tmp_path: Path, who: str) -> None:
    """The target has old chunks of the artifact, which the one relies on and the other deletes."""
    source = ArtifactStore((tmp_path / "one").as_uri(), fsync=False)
    digest = source.put_path(_tree(tmp_path)).digest
    target = tmp_path / "two"
    moment, met = 0, True

    def open_target(fate: Fate | None = None) -> ArtifactStore:
        return ArtifactStore.over(FrailStore(fate or Fate()), target.as_uri(), TIMING)

    def copy(fate: Fate | None = None) -> None:
        members = [Member(source, PLACES[0]), Member(open_target(fate), PLACES[1])]
        done.append(Replicas(members).replicate(digest, target.as_uri()).digest)

    def collect(fate: Fate | None = None) -> None:
        with suppress(StorageError):
            freed.append(open_target(fate).gc(Wish(frozenset)).chunks)

    while met:
        done: list[str] = []
        freed: list[int] = []
        shutil.rmtree(target, ignore_errors=True)
        copy()
        for path in target.rglob("*.json"):
            path.unlink()
        grow_old(target, 1000)
        done.clear()
        if who == "copy":
            fate = Fate(None, moment, collect)
            copy(fate)
        else:
            fate = Fate(None, moment, copy, briefly=True)
            collect(fate)
        fate.end()
        met = bool(done and freed)
        if done:
            open_target().verify(digest)
        moment += 1
    assert moment > 10


def _tree(folder: Path) -> Path:
    tree = folder / "tree"
    tree.mkdir()
    for name in "abc":
        (tree / name).write_bytes(name.encode() * 100)
    return tree
