"""What the models offer to people who write Python: constructors, errors, SkyPilot's short forms.

Every class here is a base of a model of the same file format: an object made in Python and one
read from a file are of one class, and equal if they say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import ValidationError

from stix.spec.base import Spec
from stix.spec.problems import SpecErrors, error

F = TypeVar("F", bound=Callable[..., Any])


class StorageMode(StrEnum):
    """How a bucket comes to a path of the node."""

    MOUNT = "MOUNT"
    COPY = "COPY"
    MOUNT_CACHED = "MOUNT_CACHED"
    STREAM = "STREAM"


class Refused(SpecErrors, ValueError):
    """An object made in Python is refused; ``problems`` holds every reason."""


def refuse(field: str, message: str, fix: str) -> Refused:
    """A refusal with one reason."""
    return Refused([error((field,) if field else (), message, fix)])


def inherited_init(init: F) -> F:
    """Mark an ``__init__`` that validation need not call: it only changes what is passed on.

    Pydantic calls the ``__init__`` of a model during validation unless it has this mark, as that
    of its own RootModel has.
    """
    init.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    return init


class Made(Spec):
    """A model with SkyPilot's constructor: positional arguments, enums, and readable errors."""

    positional: ClassVar[tuple[str, ...]] = ()
    """Names of the arguments that may be given by position, in SkyPilot's order."""

    @inherited_init
    def __init__(self, /, *args: Any, **fields: Any) -> None:
        __tracebackhide__ = True
        given = self._translated(_named(type(self), args, fields))
        try:
            super().__init__(**given)
        except ValidationError as refusal:
            raise explained(refusal, given, type(self)) from None

    @classmethod
    def _translated(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """SkyPilot's arguments as fields of this model; the given map may be changed."""
        return {name: plain(value) for name, value in fields.items()}

    @classmethod
    def read(cls, value: Any) -> Self:
        """The object of a map, as a file holds it; the map stays as it is.

        Raises:
            Refused: it is no such object; holds every problem.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as refusal:
            raise explained(refusal, value, cls) from None


def explained(refusal: ValidationError, raw: Any, model: type[Spec]) -> Refused:
    """Pydantic's refusal in words of the file."""
    from stix.spec.messages import explain

    return Refused(explain(refusal, raw, model, ()))


def plain(value: Any) -> Any:
    """Members of enums as their values, also inside lists and maps."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {plain(key): plain(entry) for key, entry in value.items()}
    return value


def _named(model: type[Made], args: tuple[Any, ...], fields: dict[str, Any]) -> dict[str, Any]:
    if not args:
        return fields
    names = model.positional
    if len(args) > len(names):
        said = f"at most {len(names)} arguments are taken by position"
        raise TypeError(f"{model.__name__}: {said}; name the others")
    for name, value in zip(names, args, strict=False):
        if name in fields:
            raise TypeError(f"{model.__name__}: {name} is given twice")
        fields[name] = value
    return fields


class ResourcesApi(Made):
    """The Python side of ``stix.Resources``."""

    positional: ClassVar[tuple[str, ...]] = (
        "cloud",
        "instance_type",
        "cpus",
        "memory",
        "accelerators",
        "accelerator_args",
        "infra",
        "use_spot",
    )

    @classmethod
    def _translated(cls, fields: dict[str, Any]) -> dict[str, Any]:
        # SkyPilot's own constructor takes a null where nothing is asked.
        return {name: plain(value) for name, value in fields.items() if value is not None}

    @classmethod
    def from_yaml_config(cls, config: Mapping[str, Any] | None) -> Self:
        """The resources of a map, as a file holds it; alternatives stay in one object."""
        return cls.read(dict(config or {}))

    def to_yaml_config(self) -> dict[str, Any]:
        """SkyPilot's canonical form."""
        from stix.spec.stage import StageSpec

        return dict(StageSpec(resources=self).to_yaml_config()["resources"])

    def copy(self, **override: Any) -> Self:
        """The same with other fields; each of several alternatives is changed alike.

        Raises:
            Refused: the result has no meaning.
        """
        choices = self.alternatives()
        if len(choices) > 1 or choices[0] is not self:
            changed = [choice.copy(**override) for choice in choices]
            return type(self)(**{self._choice(): [given(entry) for entry in changed]})
        own = given(self)
        if "infra" not in override and override.keys() & _PLACE:
            # One part of a place is changed, the others stay.
            own.pop("infra", None)
            own |= {part: getattr(self, part) for part in _PLACE}
        if override.keys() & _PLACE and "infra" in override:
            raise refuse("infra", "infra and its parts are both given", "keep infra")
        for group in _EITHER:
            if override.keys() & group:
                own = {name: value for name, value in own.items() if name not in group}
        changed_one: Self = type(self)(**(own | override))
        return changed_one

    if TYPE_CHECKING:

        def alternatives(self) -> list[Any]: ...

    def _choice(self) -> str:
        return "ordered" if getattr(self, "ordered", None) else "any_of"

    def __hash__(self) -> int:
        # Equal objects have equal hashes; SkyPilot takes resources in a set.
        names = ("infra", "cpus", "memory", "instance_type", "use_spot")
        return hash(tuple(getattr(self, name, None) for name in names))


_PLACE = frozenset({"cloud", "region", "zone"})
_EITHER = (frozenset({"accelerators", "gpus"}), frozenset({"any_of", "ordered"}))


def given(model: Spec) -> dict[str, Any]:
    """The fields that were given to an object, as plain data."""
    return model.model_dump(exclude_unset=True, by_alias=True)


def one_of(resources: Any) -> Any:
    """What ``set_resources`` takes as one object: a set means any of these, a list an order."""
    if not isinstance(resources, set | frozenset | list | tuple):
        return resources
    from stix.spec.resources import Resources

    entries = [r if isinstance(r, Resources) else Resources.read(r) for r in resources]
    flat = [choice for entry in entries for choice in entry.alternatives()]
    if len(flat) < 2:
        return flat[0] if flat else Resources()
    if isinstance(resources, set | frozenset):
        # A set has no order: two runs of one program shall give one text.
        flat.sort(key=lambda entry: repr(sorted(given(entry).items(), key=str)))
        return Resources(any_of=[given(entry) for entry in flat])
    return Resources(ordered=[given(entry) for entry in flat])


class StorageApi(Made):
    """The Python side of ``stix.Storage``."""

    positional: ClassVar[tuple[str, ...]] = ("name", "source", "stores", "persistent", "mode")

    @classmethod
    def _translated(cls, fields: dict[str, Any]) -> dict[str, Any]:
        stores = fields.pop("stores", None)
        if stores is not None:
            if len(stores) > 1:
                raise refuse("store", "a bucket lies in one store", "write store=StoreType.S3")
            if stores:
                fields["store"] = next(iter(stores))
        if "file_mount_type" in fields:
            fields["type"] = fields.pop("file_mount_type")
        return {name: plain(value) for name, value in fields.items() if value is not None}

    @classmethod
    def from_yaml_config(cls, config: Mapping[str, Any]) -> Self:
        """The storage of a map, as a file holds it."""
        return cls.read(dict(config))


def pairs(given: Any, word: str) -> dict[str, Any]:
    """What ``update_envs`` takes: a map, or a list of pairs with no name twice."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    fix = f"write {word}={{'NAME': 'value'}}"
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise refuse(word, f"{word} must be a map or a list of pairs", fix)
    entries = [tuple(entry) if isinstance(entry, list | tuple) else () for entry in given]
    if any(len(entry) != 2 for entry in entries):
        raise refuse(word, f"{word} must be a map or a list of pairs", fix)
    out = {entry[0]: entry[1] for entry in entries}
    if len(out) != len(entries):
        raise refuse(word, f"a name is twice among the {word}", "remove one of the two")
    return out
