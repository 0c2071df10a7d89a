"""What all refreshers share: credentials, links, locks, several at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from stix.clouds.catalog.refresh import (
    Bounds,
    Clock,
    Found,
    Item,
    Page,
    Quote,
    Refresher,
    Settings,
    refresh,
    refresh_all,
    registry,
)
from stix.clouds.catalog.refresh.answers import Answer
from stix.clouds.catalog.refresh.pages import Kept, alone
from stix.clouds.catalog.testing.server import STATUS, Fault, Provider
from stix.clouds.catalog.testing.world import Asked, World
from stix.config import Config, ConfigError
from stix.errors import UsageError


class Comet(Refresher):
    """A cloud with pages that lead on."""

    cloud = "comet"
    url = "http://comet.invalid"
    source = "comet"
    secrets = ("COMET_KEY",)
    start: ClassVar[str] = "/1"

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"X-Key": self.secret["COMET_KEY"]}

    def first(self) -> list[Page]:
        return [Page("1", self.start)]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        more = [Page(str(int(page.key) + 1), data.text("next"))] if "next" in data else []
        return Found([{"name": n} for n in data.texts("machines")], more)

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        for item in items:
            yield Quote(self.machine(item["name"], 4, 16), "eu", on_demand=1.0)


def double(world: World, asked: Asked, url: str) -> Any:
    number = int(asked.path.strip("/"))
    following = {"next": f"{url}/{number + 1}"} if number < 3 else {}
    return {"machines": [f"m{number}"], **following}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(double).running() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, provider: Provider) -> Settings:
    return Settings(
        tmp_path,
        urls={"comet": provider.url},
        environment={"COMET_KEY": "hidden"},
        bounds=Bounds(attempts=2),
        clock=Clock(sleep=lambda seconds: None),
    )


def test_a_missing_secret_is_told_before_anything_is_asked(
    settings: Settings, provider: Provider
) -> None:
    outcome = refresh(Comet, replace(settings, environment={}))
    assert (outcome.state, outcome.error) == ("failed", "comet: COMET_KEY not set")
    assert not provider.asked


def test_a_secret_can_lie_in_a_file(settings: Settings, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-file\n")
    there = {"COMET_KEY": f"file:{tmp_path / 'key'}"}
    assert refresh(Comet, replace(settings, references=there)).state == "refreshed"
    assert {asked.headers["x-key"] for asked in provider.asked} == {"of-the-file"}


@pytest.mark.parametrize("reference", ["hidden-value", "file:/nowhere/key"])
def test_a_reference_that_leads_nowhere_is_told_without_it(
    settings: Settings, reference: str
) -> None:
    outcome = refresh(Comet, replace(settings, references={"COMET_KEY": reference}))
    assert outcome.state == "failed"
    assert "COMET_KEY" in outcome.error
    assert "hidden-value" not in outcome.error + outcome.fix


def test_a_link_to_another_host_is_not_followed(settings: Settings) -> None:
    class Elsewhere(Comet):
        start = "http://127.0.0.2:9/1"

    outcome = refresh(Elsewhere, settings)
    assert outcome.state == "failed"
    assert "another host: 127.0.0.2" in outcome.error


def test_pages_that_lead_in_a_circle_end(settings: Settings) -> None:
    class Circle(Comet):
        def read(self, page: Page, answer: Answer) -> Found:
            return Found([], [Page("1", "/1")])

    assert "leads to itself" in refresh(Circle, settings).error


def test_pages_without_end_end(settings: Settings) -> None:
    few = replace(settings, bounds=Bounds(pages=2))
    assert "more than 2 pages" in refresh(Comet, few).error


def test_two_refreshes_of_a_cloud_do_not_meet(settings: Settings) -> None:
    with alone(settings.folder / "pages" / "comet", "comet"):
        assert "under way" in refresh(Comet, settings).error
    assert refresh(Comet, settings).state == "refreshed"


def test_a_link_of_a_broken_run_that_is_too_old_begins_it_anew(
    settings: Settings, provider: Provider
) -> None:
    provider.faults = [Fault(STATUS, lambda asked: asked.path == "/3")]
    assert refresh(Comet, settings).state == "failed"
    provider.faults = [Fault(STATUS, lambda asked: asked.path == "/3", 1, 410)]
    provider.asked.clear()
    assert refresh(Comet, settings).state == "refreshed"
    assert [asked.path for asked in provider.asked] == ["/3", "/1", "/2", "/3"]


def test_a_damaged_page_is_asked_for_again(settings: Settings, provider: Provider) -> None:
    provider.faults = [Fault(STATUS, lambda asked: asked.path == "/3")]
    refresh(Comet, settings)
    for path in (settings.folder / "pages" / "comet").glob("*.json"):
        path.write_bytes(path.read_bytes()[:20])
    provider.faults = []
    assert refresh(Comet, settings).reused == 0


def test_a_damaged_catalog_of_before_is_replaced(settings: Settings) -> None:
    settings.folder.mkdir()
    (settings.folder / "comet.cat").write_bytes(b"half a file")
    assert refresh(Comet, settings).rows == 3


@pytest.mark.parametrize(
    ("etag", "changed", "header"),
    [
        ('"a"', "Fri, 20 Nov 2026 08:00:00 GMT", {"If-None-Match": '"a"'}),
        (None, "Fri, 20 Nov 2026", {"If-Modified-Since": "Fri, 20 Nov 2026"}),
        (None, None, {}),
    ],
)
def test_by_what_is_asked_whether_a_page_changed(
    etag: str | None, changed: str | None, header: dict[str, str]
) -> None:
    assert Kept("run", Found([]), etag, changed).conditions == header


def test_files_are_for_their_owner_alone(settings: Settings) -> None:
    refresh(Comet, settings)
    files = [path for path in settings.folder.rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_without_names_clouds_that_lack_credentials_are_skipped(settings: Settings) -> None:
    nowhere = dict.fromkeys(registry.names(), "http://127.0.0.1:9")
    closed = replace(settings, environment={}, urls=nowhere, bounds=Bounds(attempts=1))
    found = {outcome.cloud: outcome for outcome in refresh_all((), closed)}
    assert set(found) == set(registry.names())
    assert (found["lambda"].state, found["lambda"].error) == ("skipped", "LAMBDA_API_KEY not set")
    assert found["linode"].state == "failed"  # it needs none, and nobody answers


def test_an_unknown_cloud_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        registry.load("lambada")
    assert "did you mean 'lambda'?" in caught.value.fix


@pytest.mark.parametrize("name", registry.names())
def test_a_refresher_is_named_as_its_cloud_and_its_address_is_encrypted(name: str) -> None:
    kind = registry.load(name)
    assert kind.cloud == name
    assert all(url.startswith("https://") for url in (kind.url, *kind.hosts.values()))


def test_settings_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "catalog:\n  urls: {aws: http://127.0.0.1:1}\n  rates: {CHF: 1.2}\n  max_move: 0.1\n"
        "  secrets: {LAMBDA_API_KEY: env:MINE}\n  stale_days: 3\n"
    )
    found = Settings.of(Config.load(tmp_path))
    assert found.urls == {"aws": "http://127.0.0.1:1"}
    assert found.rates == {"EUR": 1.10, "CHF": 1.2}
    assert (found.bounds.move, found.stale_days) == (0.1, 3)
    assert replace(found, environment={"MINE": "key"}).secret("LAMBDA_API_KEY") == "key"


def test_a_secret_in_the_file_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("catalog:\n  secrets: {LAMBDA_API_KEY: 123456}\n")
    with pytest.raises(ConfigError) as caught:
        Config.load(tmp_path)
    assert "123456" not in str(caught.value)
