"""How the run that a model comes from cut its windows."""

from __future__ import annotations

from typing import Any

from otolith.core.config import parse, read_yaml
from otolith.core.errors import ConfigError
from otolith.tasks._model import Model
from otolith.windows.spec import WindowSpec


def windows_of_run(model: Model) -> WindowSpec:
    """Return the settings of the windows that a model was trained on.

    Args:
        model: A model that was loaded from a run folder or one of its checkpoints.

    Raises:
        ConfigError: There is no run around the model folder.
    """
    path = None if model.path is None else model.path.resolve().parents[1] / "config.yaml"
    if path is None or not path.is_file():
        raise ConfigError(
            f'The model "{model.name}" lies in no run, so nothing says how its windows were cut.',
            "Give them, such as windows.window_s=2.",
        )
    data: Any = read_yaml(path).get("data")
    window = data.get("window") if isinstance(data, dict) else None
    return parse(WindowSpec, window or {}, source=f"data.window of {path}")
