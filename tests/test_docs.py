"""What README and the pages show is what happens; the pages of functions and options list what is known.

`--refresh-golden` writes the pages of functions and of options, and what the examples print, anew.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.ops import table
from tracegrad.config import _OPTIONS as OPTIONS
from tracegrad.config import number_of_bytes
from tracegrad.dispatch.solvers import SOLVERS
from tracegrad.ops.functions import METHODS, SCIPY_FUNCTIONS
from tracegrad.ops.op import REGISTRY
from tracegrad.ops.scipy_forms import REFUSED

ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_shows_what_its_example_prints(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    program, shown = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    file = tmp_path / "example.py"
    file.write_text(program, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        env={"PYTHONPATH": str(ROOT), "TRACEGRAD_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    said = re.findall(r"# (\[.*\])$", program, flags=re.MULTILINE)
    first, second, source = run.stdout.split("\n", 2)
    assert [first, second] == said
    assert source.strip().endswith(shown.strip())


def examples(page: str) -> list[tuple[str, str]]:
    """The programs of a page that are followed by what they print."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(
        r"^```python\n((?:(?!^```).)*)^```\n\n```text\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL
    )


EXAMPLES = ("containers.md", "control_flow.md", "from_hips_autograd.md")


@pytest.mark.parametrize(("page", "number"), [(p, k) for p in EXAMPLES for k in range(len(examples(p)))])
def test_a_page_shows_what_its_examples_print(
    page: str, number: int, tmp_path: Path, refresh_golden: bool
) -> None:
    program, shown = examples(page)[number]
    file = tmp_path / "example.py"
    file.write_text(program, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        env={"PYTHONPATH": str(ROOT), "TRACEGRAD_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    if refresh_golden:
        file = ROOT / "docs" / page
        before = f"{program}```\n\n```text\n"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(before + shown, before + run.stdout), encoding="utf-8")
        return
    assert run.stdout == shown


def programs() -> Iterable[tuple[str, str]]:
    """Each program of a page that is not followed by what it prints; of the design there are excerpts."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        shown = [program for program, _ in examples(page.name)]
        for program in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            if program not in shown and page.name != "design.md":
                yield page.name, program


def with_prints(program: str) -> tuple[str, list[str]]:
    """The program, which prints each value that a comment says, and those values."""
    said, lines = [], program.splitlines()
    for node in ast.parse(program).body:
        _, _, comment = lines[node.lineno - 1].partition("  # ")
        value = comment.rpartition(" = ")[2]
        if isinstance(node, ast.Expr) and re.fullmatch(r"[\d.]+|\([\d.j+-]+\)|(tensor|Stats)\(.*\)", value):
            lines[node.lineno - 1] = f"print({ast.unparse(node)})"
            said.append(value)
    return "\n".join(lines), said


@pytest.mark.parametrize(
    ("page", "program"), list(programs()), ids=lambda text: text if text.endswith(".md") else ""
)
def test_a_program_of_a_page_runs_alone_and_has_the_values_said(
    page: str, program: str, tmp_path: Path
) -> None:
    file = tmp_path / "example.py"
    text, said = with_prints(program)
    file.write_text(text, encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT), "TRACEGRAD_CACHE_DIR": str(tmp_path)}
    for _ in range(2 if page == "cache.md" else 1):  # that page is about the second process
        run = subprocess.run(
            [sys.executable, "-W", "error", str(file)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert run.returncode == 0, run.stderr
    printed = run.stdout.replace("\n        ", " ")  # a tensor of several rows
    assert [value for value in said if value not in printed] == []
    assert said or "print(" in program


def test_the_picture_of_paths_is_well_formed_and_knows_both_modes() -> None:
    text = (ROOT / "docs" / "paths.svg").read_text(encoding="utf-8")
    picture = xml.etree.ElementTree.fromstring(text)
    assert picture.tag.endswith("svg") and "viewBox" in picture.attrib
    assert "prefers-color-scheme: dark" in text and "<title" in text
    assert "![" in (ROOT / "docs" / "control_flow.md").read_text(encoding="utf-8")


def _size(number: int | None) -> str | None:
    """A number of bytes as a person writes it."""
    return None if number is None else f"{number // 10**6}MB"


def test_the_page_of_options_lists_them_all(refresh_golden: bool) -> None:
    page = ROOT / "docs" / "options.md"
    text = page.read_text(encoding="utf-8")
    head, rule = "| option | default | environment | meaning |", "|---|---|---|---|"
    rows = [
        f"| `{option}` | `{_size(default) if check is number_of_bytes else default!r}` | `{variable}` | {meaning} |"
        for option, (default, check, variable, meaning) in OPTIONS.items()
    ]
    made = text.split(head)[0] + "\n".join([head, rule, *rows]) + "\n"
    if refresh_golden:
        page.write_text(made, encoding="utf-8")
    assert refresh_golden or text == made


def wrapped(names: Iterable[str]) -> str:
    """Names in code's letters, as a paragraph."""
    return textwrap.fill(", ".join(f"`{name}`" for name in names), 110, break_on_hyphens=False)


def steps_called() -> Iterable[str]:
    """The ops without a compiled form that are not in the table of NumPy's functions."""
    of_numpy = {name for name in dir(np) if isinstance(getattr(np, name), np.ufunc)}
    return {op.name for op in REGISTRY.values() if op.native is False} - of_numpy - {"called"}


def scipy_part() -> Iterable[str]:
    """SciPy's functions by their modules, then its distributions, those with the same methods together."""
    recorded = {name for name in SCIPY_FUNCTIONS if "._" not in name and name not in REFUSED}
    modules, methods = defaultdict(list), defaultdict(list)
    for name in sorted(recorded | SOLVERS.keys()):
        _, module, function = name.split(".", 2)
        of, _, method = function.rpartition("_gen.")
        if of:
            methods[of].append(method)
        else:
            modules[module].append(function)
    for module, functions in modules.items():
        yield f"### scipy.{module}\n\n{wrapped(functions)}\n"
    alike = defaultdict(list)
    for of, known in methods.items():
        alike[tuple(known)].append(of)
    yield "### Distributions of scipy.stats\n\n| distribution | methods |\n|---|---|"
    for known, distributions in sorted(alike.items(), key=lambda row: row[1]):
        yield f"| {', '.join(f'`{name}`' for name in distributions)} | {', '.join(f'`{name}`' for name in known)} |"


def functions_page() -> str:
    """The page from the tables that dispatch reads."""
    return "\n".join(
        [
            "# Functions",
            "",
            "What a recorded value can go through. Anything else of NumPy is refused by name, with your line. Python's",
            "operators, `abs`, `float` and `int`, and the functions of `math` that NumPy has too are known as well.",
            "",
            "## NumPy",
            "",
            "Written by a test from the declarations. A derivative in both modes is one of any order. *Compiled*:",
            "there is compiled text for value and gradient, or the compiled program calls NumPy for the steps named.",
            "*Where there is none*: the gradient at points without a derivative; [edges](edges.md) has examples.",
            "",
            table.HEADING,
            *table.rows(),
            "",
            "## SciPy",
            "",
            "Under SciPy's own signatures, with derivatives in both modes and of any order. All of it compiles but for",
            "these steps, for which a compiled program calls NumPy or SciPy and goes on:",
            "",
            wrapped(sorted(steps_called())),
            "",
            "What SciPy writes in Python on top of these (`signal.stft`, `stats.dirichlet`) works too.",
            "",
            *scipy_part(),
            "",
            "What solves equations or integrates them is run by SciPy. The derivative is that of the equation, not of",
            "the iterations: with respect to what is in `args=` and what the functions close over, to any order;",
            "starts and brackets have none.",
            "",
            f"Refused, with what to use instead:\n\n{wrapped(sorted(REFUSED))}\n",
            f"## Array methods\n\n{wrapped(sorted(METHODS))}\n",
        ]
    )


def test_the_page_of_functions_lists_what_is_known(refresh_golden: bool) -> None:
    page, made = ROOT / "docs" / "functions.md", functions_page()
    if refresh_golden:
        page.write_text(made, encoding="utf-8")
    listed = set(page.read_text(encoding="utf-8").splitlines())
    rows = [line for line in made.splitlines() if line.startswith("| ")]
    assert not [row for row in rows if row not in listed]  # an older NumPy has fewer rows
    names = set(re.findall(r"`([\w.]+)`", page.read_text(encoding="utf-8")))
    assert set(re.findall(r"`([\w.]+)`", made)) <= names
