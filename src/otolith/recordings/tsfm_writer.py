"""Writes recordings in the TSFM layout, which `otolith.recordings.tsfm_format` reads."""

# T time, C channels

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otolith.core.errors import DataError, suggest
from otolith.core.files import sync, write_json
from otolith.recordings._new_folder import new_folder
from otolith.recordings.clocks import sample_times_s, slice_recording
from otolith.recordings.recording import Annotation, Finding, ImuStream, Recording
from otolith.recordings.tsfm_format import TIME_COLUMN


def write_tsfm(
    folder: Path | str,
    recordings: Iterable[Recording],
    *,
    name: str,
    description: str = "",
    stream: str = "",
    track: str = "activity",
    extra: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> tuple[Finding, ...]:
    """Write motion recordings in the TSFM layout; the folder appears when it is complete.

    A session of the layout has one list of labels. A recording with one label interval over
    all of it becomes the session of its own id; with other intervals, each becomes a session
    `<id>_<number>`, and what lies between them is left out and reported.

    Args:
        folder: The folder to write.
        recordings: Recordings with distinct ids; taken one at a time.
        name: Name of the data set.
        description: One to three sentences about it.
        stream: Motion stream to write; needed where a recording has several.
        track: Annotation track that holds the labels.
        extra: Further entries for the manifest, such as `source`.
        overwrite: Whether an existing folder in this layout may be replaced.

    Returns:
        What the layout cannot hold or what was left out; empty if nothing.

    Raises:
        DataError: The target may not be replaced, a recording has no such stream, channels of
            one name differ between recordings, or an id is no plain folder name.
    """
    target = Path(folder).absolute()
    with new_folder(target, overwrite=overwrite, marker="manifest.json") as temporary:
        writer = _Writer(temporary, stream=stream, track=track)
        for recording in recordings:
            writer.append(recording)
        manifest = {
            "dataset_name": name,
            "description": description,
            "channels": list(writer.channels.values()),
            **(extra or {}),
        }
        subjects = {k: v for k, v in writer.subjects.items() if v}
        if subjects:
            manifest["session_subjects"] = subjects
        write_json(temporary / "labels.json", writer.labels)
        write_json(temporary / "manifest.json", manifest)
        return writer.findings()


class _Writer:
    """Sessions written so far, and what the manifest and the labels will say."""

    def __init__(self, folder: Path, *, stream: str, track: str) -> None:
        self._sessions = folder / "sessions"
        self._sessions.mkdir()
        self._stream = stream
        self._track = track
        self._left_out: Counter[str] = Counter()
        self.channels: dict[str, dict[str, Any]] = {}
        self.labels: dict[str, list[str]] = {}
        self.subjects: dict[str, str] = {}

    def append(self, recording: Recording) -> None:
        stream = self._choose(recording)
        self._describe(recording, stream)
        for session, labels, part in self._cut(recording, stream):
            self._write(session, part)
            self.labels[session] = list(labels)
            self.subjects[session] = recording.subject

    def findings(self) -> tuple[Finding, ...]:
        facts = {
            "streams.left_out": "Other streams of the recordings were left out.",
            "annotations.left_out": "Points, texts and other tracks have no place in the layout.",
            "labels.missing": "Sessions without a label were written with an empty list.",
            "labels.too_short": "Label intervals without a sample were left out.",
            "rows.unlabelled": "Samples outside the label intervals were left out.",
        }
        return tuple(
            Finding(check=c, status="warning", fact=f, evidence=str(self._left_out[c]))
            for c, f in facts.items()
            if self._left_out[c]
        )

    def _choose(self, recording: Recording) -> ImuStream:
        imus = recording.imus
        if self._stream:
            if self._stream not in imus:
                raise DataError(
                    f'Recording "{recording.id}" has no motion stream "{self._stream}".',
                    suggest(self._stream, imus),
                )
        elif len(imus) != 1:
            raise DataError(
                f'Recording "{recording.id}" has {len(imus)} motion streams.',
                f"Say which by stream. {suggest('', imus)}" if imus else "Leave it out.",
            )
        self._left_out["streams.left_out"] += len(recording.streams) - 1
        return imus[self._stream] if self._stream else next(iter(imus.values()))

    def _describe(self, recording: Recording, stream: ImuStream) -> None:
        """Add the stream's channels to the manifest; one name has one meaning."""
        for channel in stream.channels:
            if channel.name == TIME_COLUMN:
                raise DataError(f'A channel is called "{TIME_COLUMN}".', "Rename it.")
            entry: dict[str, Any] = {
                "name": channel.name,
                "description": channel.description,
                "sampling_rate_hz": stream.rate_hz,
                "unit": channel.unit,
                "placement": channel.placement,
            }
            if channel.sensor == "acc":
                entry["gravity"] = stream.gravity.value
            known = self.channels.setdefault(channel.name, entry)
            if known != entry:
                key = next(k for k in entry if known.get(k) != entry[k])
                raise DataError(
                    f'Channel "{channel.name}" of recording "{recording.id}" has {key} '
                    f"{entry[key]!r}, others have {known.get(key)!r}.",
                    "Write such recordings as data sets of their own.",
                )

    def _cut(
        self, recording: Recording, stream: ImuStream
    ) -> Iterator[tuple[str, tuple[str, ...], ImuStream]]:
        """Sessions of a recording: id, labels, motion."""
        intervals = [a for a in recording.annotations if self._is_label(a, stream)]
        self._left_out["annotations.left_out"] += len(recording.annotations) - len(intervals)
        if not intervals:
            self._left_out["labels.missing"] += 1
            yield recording.id, (), stream
        elif len(intervals) == 1 and _covers(intervals[0], stream):
            yield recording.id, intervals[0].labels, stream
        else:
            is_labelled_T = np.zeros(len(stream.samples_TC), bool)
            times_s = stream.times_s
            for number, interval in enumerate(intervals):
                start_s, end_s = interval.start_s, float(interval.end_s or 0.0)
                part = slice_recording(recording, start_s, end_s).imus[stream.name]
                is_labelled_T |= (times_s >= start_s) & (times_s < end_s)
                if len(part.samples_TC):
                    yield f"{recording.id}_{number:04d}", interval.labels, part
                else:
                    self._left_out["labels.too_short"] += 1
            self._left_out["rows.unlabelled"] += int((~is_labelled_T).sum())

    def _is_label(self, annotation: Annotation, stream: ImuStream) -> bool:
        return (
            annotation.track == self._track
            and bool(annotation.labels)
            and annotation.end_s is not None
            and annotation.end_s > annotation.start_s
            and annotation.stream in {"", stream.name}
        )

    def _write(self, session: str, stream: ImuStream) -> None:
        if session in self.labels:
            raise DataError(f'Two sessions are called "{session}".', "Give each its own id.")
        if Path(session).name != session or session in {"", ".", ".."} or "\\" in session:
            raise DataError(
                f'The id "{session}" cannot name a folder.', "Use an id without slashes."
            )
        times_s = sample_times_s(stream)
        columns = [pa.array(times_s - times_s[:1])]
        columns += [pa.array(values_T) for values_T in stream.samples_TC.T]
        names = [TIME_COLUMN, *(c.name for c in stream.channels)]
        path = self._sessions / session / "data.parquet"
        path.parent.mkdir()
        pq.write_table(pa.Table.from_arrays(columns, names=names), path)
        sync(path)


def _covers(interval: Annotation, stream: ImuStream) -> bool:
    """Whether an interval holds all samples of a stream, up to one sample at either end."""
    step_s = 1.0 / stream.rate_hz
    end_s = stream.offset_s + stream.duration_s
    starts = interval.start_s <= stream.offset_s + step_s
    return starts and interval.end_s is not None and interval.end_s >= end_s - step_s
