"""What a system does not offer ends in one sentence, not in a traceback."""

import pytest

from otolith.core.errors import CheckpointError
from otolith.systems import SYSTEMS
from otolith.systems._convert import export_official


@pytest.fixture
def system():
    module = SYSTEMS.get("statistics")
    return module.System(module.Config())


def test_a_system_without_text_says_so(system):
    with pytest.raises(CheckpointError, match="statistics knows no text"):
        system.embed_texts(["walking"])


def test_a_system_without_official_form_says_so(system, tmp_path):
    with pytest.raises(CheckpointError, match="statistics has no official form"):
        type(system).from_official({}, {})
    with pytest.raises(CheckpointError, match="statistics has no official form"):
        export_official(system, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())
