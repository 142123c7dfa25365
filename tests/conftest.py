"""What every test run shares: a cache directory of its own, the same Hypothesis draws, the flag for golden files.

Set up here, before anything imports tracegrad: the test processes inherit the directory from the first one.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator

import hypothesis
import pytest

_CACHE_VARIABLE = "TRACEGRAD_CACHE_DIR"
_OWN_CACHE = "PYTEST_XDIST_WORKER" not in os.environ
os.environ["TRACEGRAD_CACHE"] = "code"  # tests count captures; those of the cache itself switch it on
if _OWN_CACHE:
    os.environ[_CACHE_VARIABLE] = tempfile.mkdtemp(prefix="tracegrad-tests-")

hypothesis.settings.register_profile(
    "tracegrad", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.load_profile("tracegrad")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--refresh-golden",
        action="store_true",
        help="rewrite tests/golden/ with what is emitted now",
    )


@pytest.fixture
def refresh_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are rewritten instead of compared."""
    return bool(request.config.getoption("--refresh-golden"))


class _Reports(logging.Handler):
    """What is said of errors of tracegrad's own, which cost a program and not the answer."""

    def __init__(self, bug: str) -> None:
        super().__init__()
        self.bug = bug
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if self.bug in record.getMessage():
            self.said.append(record.getMessage())


@pytest.fixture(autouse=True)
def reports_of_bugs() -> Iterator[list[str]]:
    """A test in which a program could not be made fails, though it was answered; one that means it clears the list."""
    from tracegrad.errors import BUG  # imported where the cache directory is set

    reports = _Reports(BUG)
    logging.getLogger("tracegrad").addHandler(reports)
    yield reports.said
    logging.getLogger("tracegrad").removeHandler(reports)
    assert not reports.said


def pytest_collection_finish() -> None:
    """The tests themselves live to the end: a full collection of garbage need not look at them each time."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _OWN_CACHE:
        shutil.rmtree(os.environ[_CACHE_VARIABLE], ignore_errors=True)
