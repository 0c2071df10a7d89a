"""STIX: run a DAG of stages on the cheapest compute of any cloud.

The public names (``stix.Task``, ``stix.Pipeline``, ``stix.run``, ``stix.stage`` ...) are resolved
on first use, so that ``import stix`` loads neither Prefect nor a cloud SDK.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stix.client.decorator import stage
    from stix.client.sdk import run
    from stix.spec.models import PipelineSpec as Pipeline
    from stix.spec.models import Resources
    from stix.spec.models import StageSpec as Task
    from stix.spec.python.dag import Dag
    from stix.spec.python.objects import StorageMode
    from stix.spec.python.text import from_yaml, to_yaml
    from stix.spec.service import ServiceSpec as Service
    from stix.spec.storage import StorageMount as Storage

__version__ = "0.1.0"

__all__ = [
    "Dag",
    "Pipeline",
    "Resources",
    "Service",
    "Storage",
    "StorageMode",
    "Task",
    "__version__",
    "from_yaml",
    "run",
    "stage",
    "to_yaml",
]

_PUBLIC = {
    "Dag": "stix.spec.python.dag:Dag",
    "Pipeline": "stix.spec.models:PipelineSpec",
    "Resources": "stix.spec.models:Resources",
    "Service": "stix.spec.service:ServiceSpec",
    "Storage": "stix.spec.storage:StorageMount",
    "StorageMode": "stix.spec.python.objects:StorageMode",
    "Task": "stix.spec.models:StageSpec",
    "from_yaml": "stix.spec.python.text:from_yaml",
    "run": "stix.client.sdk:run",
    "stage": "stix.client.decorator:stage",
    "to_yaml": "stix.spec.python.text:to_yaml",
}

# The wheel holds stix/flows, stix/tasks, ... as folders.  A checkout holds them at the repository
# root, with links stix/x -> ../x.  Where the links did not survive (an unpacked sdist, a clone
# without symbolic links), look for the subpackages at the root.
_here = Path(__file__).resolve().parent
if not (_here / "flows" / "__init__.py").is_file():
    __path__.append(str(_here.parent))
del _here


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'stix' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)
