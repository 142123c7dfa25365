"""What the README shows is what happens: its example runs, and prints the source printed there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
        check=True,
        timeout=300,
    )
    said = re.findall(r"# (\[.*\])$", program, flags=re.MULTILINE)
    first, second, source = run.stdout.split("\n", 2)
    assert [first, second] == said
    assert source.strip().endswith(shown.strip())
