"""What the stress tests count, shown after the last of them."""

import collections

import pytest

COUNTS = collections.defaultdict(collections.Counter)


@pytest.fixture
def count(request):
    """Count the outcomes of a test: ``count["old file"] += 1``."""
    name = request.node.originalname.removeprefix("test_").replace("_", " ")
    return COUNTS[
        name, request.node.callspec.id if hasattr(request.node, "callspec") else ""
    ]


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch):
    """Two exports of one recording have the same bytes in every format."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def pytest_terminal_summary(terminalreporter):
    """Print the table."""
    if not COUNTS:
        return
    terminalreporter.section("stress")
    for (test, case), outcomes in COUNTS.items():
        told = ", ".join(
            f"{number} {what}" for what, number in sorted(outcomes.items())
        )
        terminalreporter.write_line(
            f"{test} | {case} | {sum(outcomes.values())} | {told}"
        )
