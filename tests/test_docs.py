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

import numpy as np
import pytest

from tracegrad.ops.functions import FUNCTIONS, METHODS, SCIPY_FUNCTIONS

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


def names_in(module: object, prefix: str) -> list[str]:
    """The public names of a NumPy namespace under which a known function is found."""
    known = {id(function) for function in FUNCTIONS}
    public = (name for name in dir(module) if not name.startswith("_"))
    return [prefix + name for name in sorted(public) if id(getattr(module, name)) in known]


def part(title: str, names: Iterable[str]) -> str:
    """A heading and the names below it, wrapped."""
    listed = textwrap.fill(", ".join(f"`{name}`" for name in names), 110, break_on_hyphens=False)
    return f"## {title}\n\n{listed}\n"


def functions_page() -> str:
    """The page from the tables that dispatch reads."""
    return "\n".join(
        [
            "# Functions",
            "",
            "What a recorded value can go through. Anything else of NumPy is refused by name, with your line. Python's",
            "operators, `abs`, `float` and `int`, and the functions of `math` that NumPy has too are known as well.",
            "",
            part("NumPy", [*names_in(np, "np."), *names_in(np.linalg, "np.linalg.")]),
            part("SciPy", sorted(SCIPY_FUNCTIONS)),
            part("Array methods", sorted(METHODS)),
        ]
    )


def test_the_page_of_functions_lists_what_is_known(refresh_golden: bool) -> None:
    page = ROOT / "docs" / "functions.md"
    if refresh_golden:
        page.write_text(functions_page(), encoding="utf-8")
    listed = set(re.findall(r"`([\w.]+)`", page.read_text(encoding="utf-8")))
    assert set(re.findall(r"`([\w.]+)`", functions_page())) <= listed  # an older NumPy has fewer names
