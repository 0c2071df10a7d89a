"""Features are computed from the class: abilities by their methods, traits by attributes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stix.clouds import features
from stix.clouds.errors import CloudError
from stix.clouds.features import FEATURES, features_of
from stix.clouds.wrappers import ABILITIES
from tests.clouds.wrappers.flaky import Able, Flaky


def test_of_all_and_of_none() -> None:
    assert list(features_of(Able)) == list(FEATURES)
    assert {name for name, has in features_of(Flaky).items() if has} == {"multi-node"}
    lacking = {"machine image", "container image", "disk size", "host ports", "new volumes"}
    assert {name for name, has in features_of(Able).items() if not has} == lacking


def test_traits_are_attributes_of_the_class_or_of_its_traits() -> None:
    class Single(Flaky):
        multi_node = False
        custom_image = True

    class Rented(Flaky):
        traits = SimpleNamespace(multi_node=False)

    assert (features_of(Single)["multi-node"], features_of(Single)["machine image"]) == (
        False,
        True,
    )
    assert features_of(Rented)["multi-node"] is False


def test_no_ability_is_left_out() -> None:
    assert set(features._ABILITIES.values()) == set(ABILITIES)


def test_nothing_is_told_of_a_function() -> None:
    with pytest.raises(CloudError, match="names no class"):
        features_of(lambda config: Flaky())
