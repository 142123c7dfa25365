"""What the README and the page on control flow show is what happens; the page of functions lists what is known.

`--refresh-golden` writes the page of functions, and what the examples print, anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.ops import table
from tracegrad.dispatch.solvers import SOLVERS
from tracegrad.ops.functions import METHODS, SCIPY_FUNCTIONS
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


EXAMPLES = ("control_flow.md", "from_hips_autograd.md")


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


def test_the_picture_of_paths_is_well_formed_and_knows_both_modes() -> None:
    text = (ROOT / "docs" / "paths.svg").read_text(encoding="utf-8")
    picture = xml.etree.ElementTree.fromstring(text)
    assert picture.tag.endswith("svg") and "viewBox" in picture.attrib
    assert "prefers-color-scheme: dark" in text and "<title" in text
    assert "![" in (ROOT / "docs" / "control_flow.md").read_text(encoding="utf-8")


def part(title: str, names: Iterable[str]) -> str:
    """A heading and the names below it, wrapped."""
    listed = textwrap.fill(", ".join(f"`{name}`" for name in names), 110, break_on_hyphens=False)
    return f"## {title}\n\n{listed}\n"


def functions_page() -> str:
    """The page from the tables that dispatch reads."""
    recorded = {name for name in SCIPY_FUNCTIONS if "._" not in name and name not in REFUSED}
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
            part("SciPy", sorted(recorded | SOLVERS.keys())),
            "Of what solves equations the derivative is that of the equation, not of the iterations: with respect to",
            "what is in `args=` and what the functions close over, to any order; starts and brackets have none.",
            "",
            "Refused, with what to use instead: "
            + ", ".join(f"`{name}`" for name in sorted(REFUSED))
            + ".\n",
            part("Array methods", sorted(METHODS)),
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
