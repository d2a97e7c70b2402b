"""A pytest plugin for CI: a run in which a test was skipped has failed. A skipped test checks nothing."""

from typing import Any

import pytest

_skipped: list[str] = []
_OUTPUT = "nothing_skipped"
"""Where a worker of pytest-xdist leaves what was skipped while it collected: its reports of that go no further."""
_collected: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _collected.append(report.nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _collected.extend(getattr(node, "workeroutput", {}).get(_OUTPUT, ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output[_OUTPUT] = _collected
        return
    _skipped.extend(sorted(set(_collected)))
    if _skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped:
        terminalreporter.section("nothing may be skipped here", red=True)
        for name in _skipped:
            terminalreporter.line(name)
