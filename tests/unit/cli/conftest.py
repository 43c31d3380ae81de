import pytest


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory, monkeypatch):
    """Commands run in an empty folder, where their default outputs land."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
