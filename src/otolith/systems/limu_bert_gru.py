"""LIMU-BERT with the authors' GRU head: a classifier of step embeddings (Xu et al., SenSys 2021).

The probabilities of the pieces of one second are averaged over a window. Training minimises the
cross entropy of that average; the authors train on single pieces.
"""

# B batch, N steps, D width, K classes

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from otolith.core.config import Selected, config
from otolith.core.errors import CheckpointError
from otolith.heads import gru_head
from otolith.systems import SYSTEMS, KeyReport, classifier, limu_bert
from otolith.systems import _limu_bert_official as official
from otolith.systems._official import (
    convert_from_official,
    convert_to_official,
    read_official_checkpoint,
    require_all,
    strip_wrappers,
)
from otolith.windows.batch import Batch

_HEAD = "head."
_PARTS = {"reader.": "gru0.", "summary.": "gru1.", "output.": "lin0."}


@config
class Config(classifier.Config):
    """Settings: those of `classifier`, and the sizes of the head.

    Args:
        piece_steps: Steps of a piece of the head.
        reader_width: Width of the head's first two GRU layers.
        summary_width: Width of the head's last GRU layer.
    """

    piece_steps: int = 20
    reader_width: int = 20
    summary_width: int = 10


class System(classifier.System):
    """Step embeddings of LIMU-BERT, GRU head.

    Args:
        config: See `Config`; `base` must be `limu_bert`.
        base: A loaded base; None builds one from `config.base`.
    """

    official_key_prefix = "gru0."

    def __init__(self, config: Config, base: limu_bert.System | None = None) -> None:
        super().__init__(config, base)
        if not isinstance(self.base, limu_bert.System):
            raise CheckpointError(
                f'The base of limu_bert_gru is "{config.base.name}".', "Set base to limu_bert."
            )
        self.official_training_data = self.base.official_training_data  # pyrefly: ignore  # differs between the published weights
        self.head = gru_head.Head(  # pyrefly: ignore  # another head than the linear one
            gru_head.Config(
                width=config.width,
                num_classes=len(config.labels),
                piece_steps=config.piece_steps,
                reader_width=config.reader_width,
                summary_width=config.summary_width,
            )
        )

    def classify(self, batch: Batch) -> Tensor:
        """Return log probabilities [B, K], one column per entry of `labels`."""
        tokens = cast(limu_bert.System, self.base).tokens(batch)
        return self.head(self.dropout(tokens.features_BND), tokens.mask_BN)

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from a GRU head of the authors and the encoder it belongs to.

        Args:
            state: Weights of the head, and those of the encoder unless `encoder` names its file.
            settings: Those of `limu_bert`; `encoder`, the file with the encoder's weights;
                `labels`, the classes in the order of the head, which `trained_on` implies.

        Raises:
            CheckpointError: Weights are missing, or the classes are not known.
        """
        state = strip_wrappers(state)
        if given := settings.get("encoder"):
            sections = read_official_checkpoint(Path(str(given)))
            state = {**sections.get("model_state_dict", {}), **state}
        if "lin0.weight" not in state:
            raise CheckpointError(
                "The weights have no lin0.weight, so they are no GRU head.",
                "Give a gru file of the authors; an encoder alone belongs to limu_bert.",
            )
        encoder = official.encoder_config(state, settings)
        base = limu_bert.Config(
            encoder=encoder,
            official_data=official.training_data(encoder.window_steps, settings),
        )
        system = cls(
            Config(
                base=Selected(SYSTEMS, "limu_bert", base),
                width=encoder.width,
                labels=_labels(state["lin0.weight"].shape[0], settings),
                reader_width=int(state["gru0.weight_hh_l0"].shape[1]),
                summary_width=int(state["gru1.weight_hh_l0"].shape[1]),
            )
        )
        ignored = {k: v for k, v in official.IGNORED.items() if "gru" not in k}
        found, report = convert_from_official(state, system.state_dict(), _names, ignored)
        require_all(report, "limu_bert_gru")
        system.load_state_dict(found)
        return system, report

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights of encoder and head under the authors' keys."""
        head = {k: v for k, v in self.state_dict().items() if k.startswith(_HEAD)}
        return {**self.base.to_official(), **convert_to_official(head, _names)}


def _names(key: str) -> tuple[str, ...]:
    """Official keys of one of ours."""
    if key.startswith("base."):
        return official.names(key.removeprefix("base."))
    for own, theirs in _PARTS.items():
        if key.startswith(_HEAD + own):
            return (theirs + key.removeprefix(_HEAD + own),)
    return ()


def _labels(num_classes: int, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the head's classes."""
    given = settings.get("labels") or official.LABELS.get(official.origin(settings), ())
    labels = tuple(str(label) for label in given)
    if len(labels) != num_classes:
        raise CheckpointError(
            f"The head has {num_classes} classes and the settings name {len(labels)}.",
            "Say with trained_on which published head it is, or give labels.",
        )
    return labels
