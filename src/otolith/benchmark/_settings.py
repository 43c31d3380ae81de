"""Settings that protocols share: how windows are cut and how contestants learn."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from otolith.core.config import config
from otolith.tasks._windows import Count, EvaluationWindows, Seconds, Share

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Groups = Annotated[int, Field(ge=2)]
Part = Annotated[float, Field(gt=0.0, lt=1.0)]


@config
class Windows:
    """How recordings are cut.

    Args:
        window_s: Length of a window in s.
        stride_s: Distance of neighbouring windows in s; None = the length.
        whole: Make one window of every recording, whatever its length.
        min_label_share: Smallest share of a window that must carry its label.
        labels: Data set -> class names to keep, in this order; a data set that is not named
            keeps all of its classes.
        streams: Data set -> motion streams to use; a data set that is not named keeps all.
        joint: Give windows of all streams together, which may hold video.
        video_fps: Frames per second that are read from video.
        video_size_px: Height and width that frames are scaled to.
    """

    window_s: Seconds = 5.0
    stride_s: Seconds | None = None
    whole: bool = False
    min_label_share: Share = 0.6
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    streams: dict[str, tuple[str, ...]] = field(default_factory=dict)
    joint: bool = False
    video_fps: Positive = 8.0
    video_size_px: tuple[Count, Count] = (224, 224)

    def for_data(self, name: str) -> EvaluationWindows:
        """Return the settings of one data set."""
        return EvaluationWindows(
            window_s=self.window_s,
            stride_s=self.stride_s,
            whole=self.whole,
            joint=self.joint,
            video_fps=self.video_fps,
            video_size_px=self.video_size_px,
            min_label_share=self.min_label_share,
            labels=self.labels.get(name, ()),
            streams=self.streams.get(name, ()),
        )


@config
class Learning:
    """How contestants learn; each reads what concerns it.

    Args:
        strengths: Inverse penalties of logistic regression; validation people choose.
        num_trees: Trees of the forest.
        epochs: Most epochs of an encoder that is trained from scratch.
        batch_size: Windows of a batch.
        lr: Learning rate of AdamW at the start; it falls to 0 along a cosine.
        weight_decay: Weight decay of AdamW.
        class_weights: `balanced` (inverse frequency) or `none`.
        is_standardised: Whether channels are scaled with the training windows' mean and deviation
            before a scratch-trained encoder sees them.
        patience: Epochs without a better validation macro-F1 after which training ends; None =
            never.
        encoders: Encoder -> its settings, for `scratch:<encoder>`.
        contestants: Contestant -> its own settings, such as those of `motion_net`.
        device: Where scratch-trained encoders learn; `auto` = an accelerator if there is one.
    """

    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.01, 0.1, 1.0)
    num_trees: Count = 200
    epochs: Count = 100
    batch_size: Count = 64
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-2
    class_weights: Literal["balanced", "none"] = "balanced"
    is_standardised: bool = True
    patience: Count | None = None
    encoders: dict[str, dict[str, Any]] = field(default_factory=dict)
    contestants: dict[str, dict[str, Any]] = field(default_factory=dict)
    device: Literal["auto", "cpu", "cuda"] = "auto"
