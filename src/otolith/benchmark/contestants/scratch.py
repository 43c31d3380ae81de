"""Any encoder of ours with a linear layer, trained from nothing on the training people."""

from __future__ import annotations

import json

from otolith.benchmark._settings import Learning
from otolith.benchmark.contestants import Contestant
from otolith.benchmark.contestants._training import EncoderContestant
from otolith.core.config import select, to_plain
from otolith.core.errors import ConfigError, suggest
from otolith.encoders import ENCODERS


def make(argument: str, learning: Learning) -> Contestant:
    """Return the contestant.

    Args:
        argument: Registered encoder; its settings are `learning.encoders[argument]`.
        learning: Settings.

    Raises:
        ConfigError: There is no such encoder, or its settings are wrong.
    """
    known = [name for name in ENCODERS.names() if name.startswith("imu_")]
    if argument not in ENCODERS.names():
        raise ConfigError(
            f'There is no encoder "{argument}" to train from scratch.', suggest(argument, known)
        )
    try:
        chosen = select(ENCODERS, {**learning.encoders.get(argument, {}), "name": argument})
    except ValueError as error:
        raise ConfigError(
            f"The settings learning.encoders.{argument} are wrong: {error}", "Correct them."
        ) from None
    return EncoderContestant(f"scratch:{argument}", chosen, learning, json.dumps(to_plain(chosen)))
