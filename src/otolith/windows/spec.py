"""How recordings are cut into windows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from otolith.core.config import config

Target = Literal["label", "multi_label", "intervals", "verb_noun", "text"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


@config
class WindowSpec:
    """Settings of cutting; every length is in seconds, signals keep their native rate.

    Args:
        window_s: Length of a window in s.
        stride_s: Distance of neighbouring windows in s; None = the length of a window.
        min_s: Shortest piece in s that is kept where a recording, or what is left at its end, is
            shorter than a window; 0 = only whole windows.
        whole: Make one sample of every recording instead of windows.
        around: Annotation track; a window of `window_s` lies around the middle of each of its
            annotations, instead of one every `stride_s`. What sticks out of the recording is cut
            off, and `min_s` says how much must be left. If it is the label track as well, a window's
            label is that of its own annotation.
        streams: Names of the streams to use; empty = all motion streams.
        separate: Let every motion stream give samples of its own, under the one name `imu`.
        overlap: Whether a window needs `all` chosen streams that the recording has, or `any`.
        channels: Patterns of channel names to keep, such as `*acc_*`; empty = all.
        min_measured: Share of time steps that must hold a measured value; a stream with less
            counts as absent in that window.
        label_track: Annotation track of the class labels and intervals.
        label_rule: `majority`: the label that covers most of the window; `pure`: only windows that
            lie within one label; `none`: no labels, keep every window.
        min_label_share: Share of the window that the majority label must cover.
        keep_unlabelled: Keep windows without a label (as -1) instead of leaving them out.
        targets: What a batch carries besides signals.
        text_track: Track of texts, verbs and nouns; empty = any track.
        verbs: Verbs in the order of their numbers; empty = sorted names that occur.
        nouns: The same for nouns.
        video_fps: Frames per second that are read from video.
        video_size_px: Height and width that frames are scaled to.
    """

    window_s: Positive = 5.0
    stride_s: Positive | None = None
    min_s: Annotated[float, Field(ge=0)] = 0.0
    whole: bool = False
    around: str = ""
    streams: tuple[str, ...] = ()
    separate: bool = False
    overlap: Literal["all", "any"] = "all"
    channels: tuple[str, ...] = ()
    min_measured: Share = 0.5
    label_track: str = "activity"
    label_rule: Literal["majority", "pure", "none"] = "majority"
    min_label_share: Share = 0.5
    keep_unlabelled: bool = False
    targets: tuple[Target, ...] = ("label",)
    text_track: str = ""
    verbs: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    video_fps: Positive = 2.0
    video_size_px: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = (224, 224)

    def __post_init__(self) -> None:
        """Check what contradicts itself."""
        if self.whole and self.around:
            raise ValueError("whole recordings and windows around annotations exclude each other")
