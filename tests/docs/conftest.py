import sys

import pytest

from lt_lightning import plugins


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """The folder that a page runs in; plugins that lie there are forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    plugins.import_plugins([])
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
