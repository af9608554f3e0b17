"""Metrics of type web where python-jsonpath, which is an extra, is not installed."""

import sys

import pytest

from metrics.errors import MisconfiguredError
from metrics.providers import web


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonpath", None)
    web.path.cache_clear()
    with pytest.raises(MisconfiguredError, match=r"pip install 'canary-controller\[web\]'"):
        web.path("$.data.errors")
