"""The project's Terraform as Python values: what is written there, not what it comes to."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import hcl2

ROOT: Final = Path(__file__).parents[2]
TERRAFORM: Final = ROOT / "terraform"


def sources() -> list[Path]:
    """Every file that Terraform reads."""
    return sorted(path for pattern in ("*.tf", "*.tfvars", "*.tftest.hcl") for path in TERRAFORM.rglob(pattern))


@cache
def parsed(path: Path) -> dict[str, Any]:
    """One file, parsed; text and names without their quotes, and without what the parser notes beside."""
    with path.open() as file:
        unquoted: dict[str, Any] = _unquote(hcl2.load(file))
    return unquoted


def _unquote(value: Any) -> Any:
    match value:
        case dict():
            return {_unquote(name): _unquote(inner) for name, inner in value.items() if not name.startswith("__")}
        case list():
            return [_unquote(inner) for inner in value]
        case str() if len(value) > 1 and value[0] == value[-1] == '"':
            return re.sub(r'\\(["\\])', r"\1", value[1:-1])
    return value


def module(name: str) -> dict[str, Any]:
    """``main.tf`` of a module."""
    return parsed(TERRAFORM / "modules" / name / "main.tf")


def local(name: str, value: str) -> Any:
    """A local value of a module."""
    return module(name)["locals"][0][value]


def default(variable: str) -> Any:
    """The default of a variable of the whole."""
    (found,) = [block[variable] for block in parsed(TERRAFORM / "variables.tf")["variable"] if variable in block]
    return found["default"]


def resources() -> list[tuple[str, str, dict[str, Any]]]:
    """Every resource: its type, its name, what is set."""
    return [
        (kind, name, settings)
        for path in sources()
        if path.suffix == ".tf"
        for block in parsed(path).get("resource", [])
        for kind, named in block.items()
        for name, settings in named.items()
    ]
