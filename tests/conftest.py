"""What every test run shares: a cache directory of its own, the same Hypothesis draws, the flag for golden files.

Set up here, before anything imports tracegrad: the test processes inherit the directory from the first one.
"""

from __future__ import annotations

import os
import shutil
import tempfile

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


def pytest_unconfigure(config: pytest.Config) -> None:
    if _OWN_CACHE:
        shutil.rmtree(os.environ[_CACHE_VARIABLE], ignore_errors=True)
