"""What was captured: recordings, their streams on one clock, annotations, and the store on disk."""

from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    Finding,
    Gravity,
    ImuStream,
    Quality,
    Recording,
    Stream,
    VideoStream,
)

__all__ = [
    "Annotation",
    "Channel",
    "FeatureStream",
    "Finding",
    "Gravity",
    "ImuStream",
    "Quality",
    "Recording",
    "Stream",
    "VideoStream",
]
