"""How the run that a model comes from cut its windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from otolith.core.config import parse, read_yaml
from otolith.core.errors import ConfigError
from otolith.tasks._model import Model
from otolith.windows.spec import WindowSpec

_OTHER_LENGTH = (
    "The windows are {given:g} s long, but {model} learned from windows of {own:g} s; what it does "
    "with others (cut, fill, stretch) is up to the model. windows.window_s={own:g} cuts as in training."
)


def trained_windows(model: Model) -> WindowSpec | None:
    """Return the settings of the windows that a model was trained on; None if nothing says so.

    Args:
        model: Any model; its provenance says it, or the run that its folder lies in.
    """
    stated = model.provenance.get("window")
    if isinstance(stated, Mapping):
        return parse(WindowSpec, stated, source=f"The window in the provenance of {model.name}")
    folder = None if model.path is None else model.path.resolve().parent
    if folder is None or folder.name != "checkpoints":
        return None
    path = folder.parent / "config.yaml"
    if not path.is_file():
        return None
    data: Any = read_yaml(path).get("data")
    window = data.get("window") if isinstance(data, dict) else None
    return parse(WindowSpec, window or {}, source=f"data.window of {path}")


def windows_of_run(model: Model) -> WindowSpec:
    """Return the settings of the windows that a model was trained on.

    Args:
        model: A model that was loaded from a run folder or one of its checkpoints.

    Raises:
        ConfigError: Nothing says how they were cut.
    """
    spec = trained_windows(model)
    if spec is None:
        raise ConfigError(
            f'The model "{model.name}" lies in no run, so nothing says how its windows were cut.',
            "Give them, such as windows.window_s=2.",
        )
    return spec


def usual_windows(model: Model) -> dict[str, Any]:
    """Return settings of `EvaluationWindows` that cut as a model's training did.

    Streams are named, and joined, only where the model needs them by name: one motion stream goes
    by the name `imu` whatever it is called.

    Args:
        model: Any model.

    Returns:
        Field -> value; empty if nothing says how the windows were cut, or they had no fixed length.
    """
    spec = trained_windows(model)
    if spec is None or spec.whole:
        return {}
    usual: dict[str, Any] = {"window_s": spec.window_s, "channels": spec.channels}
    if spec.separate or spec.streams in ((), ("imu",)):
        return usual
    return {
        **usual,
        "joint": True,
        "streams": spec.streams,
        "video_fps": spec.video_fps,
        "video_size_px": spec.video_size_px,
    }


def with_usual(given: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of windows as given, else as usual; `joint: false` drops the usual streams."""
    if given.get("joint") is False:
        usual = {k: v for k, v in usual.items() if k != "streams"}
    return {**usual, **given}


def common_joint_windows(models: Sequence[Model]) -> dict[str, Any]:
    """Return the usual windows of models that read several streams at once.

    Args:
        models: Models that are to be given the same windows.

    Returns:
        See `usual_windows`; empty if none reads several streams, or they were trained on different
        windows. Models that state no windows do not count.
    """
    found = [usual for usual in map(usual_windows, models) if usual]
    if any(usual.get("joint") for usual in found) and all(usual == found[0] for usual in found):
        return found[0]
    return {}


def described(usual: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence that says what of the usual windows is used, or nothing if nothing is.

    Args:
        usual: See `usual_windows`.
        given: Settings that were given, which count instead.
    """
    taken = {k: v for k, v in with_usual(given, usual).items() if k not in given and k in usual}
    words = [
        f"{taken['window_s']:g} s" if "window_s" in taken else "",
        f"channels {', '.join(taken['channels'])}" if taken.get("channels") else "",
        f"streams {', '.join(taken['streams'])}" if "streams" in taken else "",
        "all streams together" if taken.get("joint") else "",
    ]
    if not any(words):
        return ()
    return (f"Windows are cut as in the training of the model: {'; '.join(filter(None, words))}.",)


def about_length(model: Model, spec: WindowSpec) -> tuple[str, ...]:
    """Return a warning if windows are of another length than those of the model's training.

    Args:
        model: Any model.
        spec: How the windows are cut.
    """
    own = trained_windows(model)
    if own is None or own.whole or spec.whole or math.isclose(own.window_s, spec.window_s):
        return ()
    text = _OTHER_LENGTH.format(given=spec.window_s, model=model.name, own=own.window_s)
    return (text,)
