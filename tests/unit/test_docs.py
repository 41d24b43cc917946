"""What the documentation says is there is there: commands, links, paths and variables."""

from __future__ import annotations

import ast
import os
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from local.stack import VARIABLES as PORT_VARIABLES

ROOT = Path(__file__).parents[2]
CODE = ("plugins", "dags", "local", "emulators")
#: Of the system, not of the project's configuration.
SYSTEM = {"PATH", "LANG", "LC_ALL"}
#: Of Compose and the shell.
SYSTEM_OF_COMPOSE = {"COMPOSE_PROJECT_NAME", "HOME"}
#: What the local stack sets for Airflow, dbt and Python themselves.
OF_THE_TOOLS = re.compile(r"AIRFLOW__|AIRFLOW_CTX_|AIRFLOW_HOME$|PYTHON\w|DBT_SEND|DO_NOT_TRACK$|TMPDIR$")

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


#: Written by tools: not the project's.
MADE = {"target", "logs", "dbt_packages", "__pycache__"}


@cache
def everything() -> tuple[Path, ...]:
    """The project's files, without what tools and commands write."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in MADE]
        found += [Path(folder, name) for name in names]
    return tuple(sorted(found))


def files(suffix: str, *folders: str) -> list[Path]:
    """The project's files of a kind, in some of its folders."""
    found = [
        path
        for path in everything()
        if path.suffix == suffix and any(path.is_relative_to(ROOT / folder) for folder in folders or ("",))
    ]
    assert found, f"no {suffix} in {folders}"
    return found


def pages() -> list[Path]:
    """Every page of the documentation."""
    return [path for path in files(".md") if not path.is_relative_to(ROOT / "include" / "dbt")]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """A page without its code."""
    return SPAN.sub("", FENCE.sub("", text))


def code(text: str) -> Iterator[str]:
    """What a page sets as code: blocks (without drawings), then spans."""
    for _, language, block in FENCE.findall(text):
        if language != "mermaid":
            yield block
    yield from SPAN.findall(FENCE.sub("", text))


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", text)).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(title) for title in re.findall(r"^#+ (.*)", FENCE.sub("", page.read_text()), re.MULTILINE)}


@pytest.mark.parametrize("page", [*pages(), ROOT / ".env.example"], ids=ids)
def test_every_command_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    parts = list(code(text)) if page.suffix == ".md" else [text]
    named = {name for part in parts for name in re.findall(r"\bmake ([a-z][a-z-]*)", part)}
    assert named <= targets()


def test_every_command_is_in_the_readme() -> None:
    rows = set(re.findall(r"^\| `make ([a-z-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert rows == targets() - {"help"}


@pytest.mark.parametrize("page", pages(), ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page.read_text())):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=ids)
def test_every_path_that_is_named_exists(page: Path) -> None:
    folders = "|".join(["docs", "tests", "include", "requirements", r"\.ci", *CODE])
    named = [span for span in SPAN.findall(FENCE.sub("", page.read_text())) if re.match(rf"({folders})/", span)]
    # A shape such as `docs/<name>.md` or `requirements/*.txt` is no path.
    assert [name for name in named if not re.search(r"[<*{… ]", name) and not (ROOT / name).exists()] == []


def test_every_page_that_code_points_to_exists() -> None:
    pointers = {
        (pointer, ids(path))
        for path in [*files(".py", *CODE), *files(".sql", "include"), *files(".yml", "include")]
        for pointer in re.findall(r"(?<![\w/.-])docs/[\w./-]*\w", path.read_text())
    }
    assert pointers, "errors point to runbooks"
    assert {(pointer, path) for pointer, path in pointers if not (ROOT / pointer).exists()} == set()


def variables_of_python(path: Path) -> set[str]:
    """Names that a module reads from ``os.environ``, or from a mapping called ``environment``."""

    def is_environment(node: ast.expr) -> bool:
        return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
            isinstance(node, ast.Name) and node.id == "environment"
        )

    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        name: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and is_environment(node.value):
            name = node.slice
        elif isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and (
                (function.attr == "get" and is_environment(function.value)) or function.attr == "getenv"
            ):
                name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            found.add(name.value)
    return found


def variables_of_the_local_stack() -> set[str]:
    """What the local stack sets for the pipeline and for Google's libraries: read there, if not by us."""
    tree = ast.parse((ROOT / "local" / "stack.py").read_text())
    (function,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "environment"]
    keys = {
        key.value
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    assert keys
    return keys


def variables_of_the_code() -> set[str]:
    read = {name for path in files(".py", *CODE, "tests") for name in variables_of_python(path)}
    for path in [*files(".sql", "include"), *files(".yml", "include")]:
        read |= set(re.findall(r"env_var\(\s*['\"](\w+)['\"]", path.read_text()))
    for path in files(".yaml", ""):
        if path.parent == ROOT:
            read |= set(re.findall(r"\$\{(\w+)", path.read_text())) - SYSTEM_OF_COMPOSE
    makefile = (ROOT / "Makefile").read_text()
    read |= set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    # What make hands on under another name: SQL_TEXT = $(value SQL).
    for ours, given in re.findall(r"^export ([A-Z_]+) = \$\(value ([A-Z_]+)\)", makefile, re.MULTILINE):
        read = (read - {ours}) | {given}
    read |= set(PORT_VARIABLES.values()) | variables_of_the_local_stack()
    return {name for name in read - SYSTEM if not OF_THE_TOOLS.match(name)}


def test_the_readme_has_every_variable_that_is_read_and_no_other() -> None:
    _, _, configuration = (ROOT / "README.md").read_text().partition("\n## Configuration\n")
    section = configuration.partition("\n## ")[0]
    listed = re.findall(r"^\| `([A-Z_0-9]+)` \|", section, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == variables_of_the_code()


def test_the_example_has_the_variables_of_the_readme_and_sets_none() -> None:
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#([A-Z_0-9]+)=", text, re.MULTILINE)) == variables_of_the_code()
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
