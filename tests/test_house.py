"""The house keeps its shape: `docs/house.txt` lists every file in reading order, and imports go down it only.

`read_house` turns the listing into places; each test is one rule over the places and the import statements.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tracegrad"
ROOF = 99
MOST_LINES = 500
FRONT, BACK = "FRONT", "BACK"


@dataclass(frozen=True)
class Place:
    """Where a file stands: floor, room, place in the reading order of the room, wing or empty."""

    floor: int
    room: str
    order: int
    wing: str


@functools.cache
def read_house() -> dict[str, Place]:
    """Path inside the package -> its place."""
    places: dict[str, Place] = {}
    header = None
    for line in (ROOT / "docs" / "house.txt").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"-- (?:floor (\d+)|(roof))\s+(\S+)\s+(FRONT|BACK)?", line):
            header = found
        elif header and (found := re.match(r"  (\S+\.py)\s+\S", line)):
            floor = ROOF if header[2] else int(header[1])
            room = "" if header[3] == "tracegrad/" else header[3]
            assert room + found[1] not in places, f"{room}{found[1]} is listed twice"
            places[room + found[1]] = Place(floor, room, len(places), header[4] or "")
    return places


def files() -> list[str]:
    """Every Python file of the package that is not the empty mark of a room."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "__init__.py" or path.parent == PACKAGE or path.stat().st_size:
            found.append(path.relative_to(PACKAGE).as_posix())
    return found


@functools.cache
def syntax(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"), filename=file)


def file_of(module: str) -> str | None:
    """The file of a dotted module name of ours, if it is a module."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file() and candidate != PACKAGE.with_suffix(".py"):
            return candidate.relative_to(PACKAGE).as_posix()
    return None


def imported(node: ast.AST) -> list[str]:
    """Dotted names that an import statement may bring in, modules and members alike."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import; write the whole name"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def own_imports(file: str) -> list[tuple[int, str]]:
    """(line, imported file) for every import of our own package."""
    found = []
    for node in ast.walk(syntax(file)):
        for name in imported(node):
            if name.split(".")[0] != "tracegrad":
                continue
            target = file_of(name) or file_of(name.rpartition(".")[0])
            assert target is not None, f"{file}:{node.lineno} imports {name}, which is no module of ours"
            found.append((node.lineno, target))
    return found


def foreign_imports(file: str) -> set[str]:
    names = {name.split(".")[0] for node in ast.walk(syntax(file)) for name in imported(node)}
    calls = (n for n in ast.walk(syntax(file)) if isinstance(n, ast.Call))
    for call in calls:
        written = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if written == "import_module" and call.args and isinstance(call.args[0], ast.Constant):
            names.add(str(call.args[0].value).split(".")[0])
    return names


def test_every_file_is_listed_and_every_listed_file_exists() -> None:
    assert sorted(read_house()) == files()


def test_floors_rise_in_reading_order() -> None:
    floors = [place.floor for place in read_house().values()]
    assert floors == sorted(floors)


@pytest.mark.parametrize("file", sorted(read_house()))
def test_imports_go_down_the_house(file: str) -> None:
    here = read_house()[file]
    for line, target in own_imports(file):
        there = read_house().get(target)
        assert there is not None, f"{file}:{line} imports {target}, the empty mark of a room"
        if there.room == here.room and there.floor == here.floor:
            assert there.order < here.order, f"{file}:{line} imports {target}, which stands below it"
        else:
            assert there.floor < here.floor, f"{file}:{line} imports {target}, which is not on a lower floor"
        wings = {here.wing, there.wing}
        assert wings != {FRONT, BACK}, f"{file}:{line}: the two wings do not see each other"


@pytest.mark.parametrize("file", sorted(read_house()))
def test_no_import_of_our_own_inside_a_function(file: str) -> None:
    functions = [
        n
        for n in ast.walk(syntax(file))
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    for function in functions:
        for node in ast.walk(function):
            assert not any(name.split(".")[0] == "tracegrad" for name in imported(node)), (
                f"{file}:{node.lineno}"
            )


@pytest.mark.parametrize("file", sorted(read_house()))
def test_what_is_imported_later_is_said_to_be(file: str) -> None:
    """`later(...)` and the import under `TYPE_CHECKING` beside it, which the house reads, are of the same files."""
    later = {
        str(call.args[0].value)
        for call in ast.walk(syntax(file))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "later"
        and isinstance(call.args[0], ast.Constant)
    }
    said = {
        name
        for branch in ast.walk(syntax(file))
        if isinstance(branch, ast.If) and getattr(branch.test, "id", "") == "TYPE_CHECKING" and branch.orelse
        for node in branch.body
        for name in imported(node)
    }
    assert later == said


@pytest.mark.parametrize(
    ("package", "only_in"),
    [
        ("numba", "compiler/"),
        ("llvmlite", "compiler/"),
        ("astor", "emit/printer.py"),
    ],
)
def test_a_package_with_one_place(package: str, only_in: str) -> None:
    assert all(file.startswith(only_in) for file in files() if package in foreign_imports(file))


@pytest.mark.parametrize("file", sorted(read_house()))
def test_a_file_is_short_enough_to_read(file: str) -> None:
    lines = (PACKAGE / file).read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES


@pytest.mark.parametrize("file", sorted(read_house()))
def test_a_file_says_what_it_holds(file: str) -> None:
    assert ast.get_docstring(syntax(file))


def test_where_a_reader_is_told_to_begin_is_there() -> None:
    for file in files():
        told = re.search(r"Begin\s+with\s+`[\w.]*?(\w+)`", ast.get_docstring(syntax(file)) or "")
        nodes = list(ast.walk(syntax(file)))
        made = {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        assert told is None or told[1] in made | {n.id for n in nodes if isinstance(n, ast.Name)}, file


def test_import_loads_neither_numba_nor_scipy() -> None:
    program = (
        "import sys, tracegrad\n"
        "print(sorted({'numba', 'llvmlite', 'scipy', 'rich'} & {name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```sh\n(.*?)\n```", readme, flags=re.MULTILINE | re.DOTALL)
    assert commands[:2] == ["pip install . && python -m tracegrad demo", 'pip install ".[test]" && pytest']
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in commands[:2]:
        assert f"step '{command}'" in ci
