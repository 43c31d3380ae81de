"""Video: frame times without decoding, and the frames displayed at given times.

Frame times come from the packets of the container, which is much faster than decoding; only
where packets carry no times are all frames decoded. `read_frames` decodes each needed stretch
once, and seeks where the next wanted frame is far ahead.
"""

# N times, F frames, H height, W width

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from otolith.core.errors import DataError, FileFormatError, IntegrityError
from otolith.recordings.clocks import TIME_TOLERANCE_S, sample_times_s
from otolith.recordings.recording import Quality, VideoStream

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream as VideoTrack

# Shorter gaps are decoded through, because a seek lands on the keyframe before its target.
_SEEK_GAP_S = 1.0


def open_video(path: Path | str, name: str = "camera") -> VideoStream:
    """Open a video file as a stream; frames are not decoded, except the first.

    Args:
        path: The video file.
        name: Name of the stream.

    Returns:
        A stream whose first frame is at time 0 of the recording; `frame_times_s` are the
        times on the file's clock, which other tracks of the file share.

    Raises:
        DataError: The file is missing or has no video track.
        FileFormatError: It is no video, or is corrupt.
    """
    path = Path(path).absolute()
    with _opened(path) as (container, track):
        time_base = _time_base(path, track)
        pts, notes = _packet_pts(container, track)
        if pts is None:
            container.seek(0)
            pts = _frame_pts(path, container, track)
        if not len(pts):
            raise FileFormatError(f"{path} has a video track without frames.", "Record it again.")
        if (np.diff(pts) == 0).any():
            notes.append(f"{int((np.diff(pts) == 0).sum())} frames share the time of another")
            pts = np.unique(pts)
        container.seek(int(pts[0]), stream=track)
        height_px, width_px = _shown_size(_first_frame(path, container, track))
        frame_times_s = pts * time_base
        return VideoStream(
            name=name,
            path=path,
            fps=_frame_rate(path, track, frame_times_s),
            frame_times_s=frame_times_s,
            width_px=width_px,
            height_px=height_px,
            num_bytes=path.stat().st_size,
            quality=Quality(flag="suspect" if notes else "good", notes=tuple(notes)),
        )


def frame_indices(stream: VideoStream, times_s: np.ndarray | Sequence[float]) -> np.ndarray:
    """Return which frame is displayed at each time: the last that begins at or before it.

    Args:
        stream: The video.
        times_s: [N] seconds on the recording's clock.

    Returns:
        int64 [N], indices into `frame_times_s`.

    Raises:
        DataError: A time is not a number or outside the video.
    """
    times = np.asarray(times_s, np.float64)
    if times.ndim != 1:
        raise DataError(f"Frame times have shape {times.shape}.", "Give a list of seconds.")
    frames_s = sample_times_s(stream)
    first_s = frames_s[0] if len(frames_s) else np.inf
    end_s = stream.offset_s + stream.duration_s
    inside = (times >= first_s - TIME_TOLERANCE_S) & (times <= end_s + TIME_TOLERANCE_S)
    if not inside.all():
        raise DataError(
            f'Video "{stream.name}" ({stream.path}) shows nothing at '
            f"{times[~inside][0]:.6g} s; it lasts from {stream.offset_s:.6g} s to {end_s:.6g} s.",
            "Ask for times inside the video.",
        )
    found = np.searchsorted(frames_s, times + TIME_TOLERANCE_S, side="right") - 1
    return np.maximum(found, 0)


def read_frames(
    stream: VideoStream,
    times_s: np.ndarray | Sequence[float],
    *,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Read the frames displayed at the given times.

    Args:
        stream: The video.
        times_s: [N] seconds on the recording's clock, in any order; sorted times are fastest.
        size: (height, width) in pixels to scale to (bilinear); None keeps the frame's size.

    Returns:
        uint8 [N, H, W, 3], RGB, upright (a rotation named in the file is applied).

    Raises:
        DataError: A time is outside the video, or the file was moved.
        IntegrityError: The file has another size than when it was opened.
        FileFormatError: A wanted frame cannot be decoded.
    """
    indices = frame_indices(stream, times_s)
    _check_file(stream)
    height_px, width_px = size or (stream.height_px, stream.width_px)
    if min(height_px, width_px) < 1:
        raise DataError(f"Frames cannot have the size {size}.", "Give positive height and width.")
    wanted, places = np.unique(indices, return_inverse=True)
    frames_NHWC = np.empty((len(wanted), height_px, width_px, 3), np.uint8)
    if len(wanted):
        with _opened(stream.path) as (container, track):
            time_base = _time_base(stream.path, track)
            pts = np.rint(stream.frame_times_s[wanted] / time_base).astype(np.int64).tolist()
            for row, frame in enumerate(_decode(stream.path, container, track, pts)):
                frames_NHWC[row] = _upright(frame, height_px, width_px)
    is_in_order = np.array_equal(places, np.arange(len(wanted)))
    return frames_NHWC if is_in_order else frames_NHWC[places]


def data_packets(
    path: Path | str, handler: str, magic: bytes
) -> Iterator[tuple[float, float, bytes]]:
    """Yield the packets of a data track, such as a camera's telemetry.

    Args:
        path: The video file.
        handler: Text in the track's handler name.
        magic: Bytes that the first packet begins with, where the name does not tell.

    Yields:
        Start and duration in s on the clock of `VideoStream.frame_times_s`, and the payload. A
        packet without a duration lasts until the next; the last one as long as the one before.

    Raises:
        DataError: The file is missing or has no video track.
        FileFormatError: It is no video, or is corrupt.
    """
    path = Path(path)
    found: dict[int, list[tuple[float, float, bytes]]] = {}
    named: set[int] = set()
    with _opened(path) as (container, _):
        tracks = [t for t in container.streams if t.type == "data" and t.time_base]
        for track in tracks:
            if handler in track.metadata.get("handler_name", ""):
                named.add(track.index)
        wanted = [t for t in tracks if t.index in named] or tracks
        _skip_reading(container, {t.index for t in wanted})
        for packet in container.demux(wanted) if wanted else ():
            if not packet.size or packet.pts is None or packet.time_base is None:
                continue
            unit = float(packet.time_base)
            row = (packet.pts * unit, (packet.duration or 0) * unit, bytes(packet))
            found.setdefault(packet.stream.index, []).append(row)
    chosen = [k for k, rows in found.items() if k in named or rows[0][2].startswith(magic)]
    yield from _with_durations(sorted(found[chosen[0]], key=lambda r: r[0]) if chosen else [])


def _skip_reading(container: InputContainer, wanted: set[int]) -> None:
    """Spare the disk the packets of other tracks, where this PyAV can."""
    import av

    discard = getattr(av.stream, "Discard", None)
    for track in container.streams:
        if discard is not None and track.index not in wanted:
            track.discard = discard.all


def _with_durations(
    rows: list[tuple[float, float, bytes]],
) -> Iterator[tuple[float, float, bytes]]:
    """Fill in durations that the container does not give; packets that last no time are dropped."""
    for i, (start_s, duration_s, payload) in enumerate(rows):
        if duration_s <= 0 and i + 1 < len(rows):
            duration_s = rows[i + 1][0] - start_s
        elif duration_s <= 0 and i:
            duration_s = start_s - rows[i - 1][0]
        if duration_s > 0:
            yield start_s, duration_s, payload


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoTrack]]:
    """Open a file and give its container and first video track; FFmpeg's errors become ours."""
    import av

    if not path.is_file():
        raise DataError(f"There is no video {path}; it may have been moved.", "Correct its path.")
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise DataError(f"{path} has no video track.", "Give a file with video.")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise FileFormatError(
            f"{path} is not a video, or is corrupt ({error.strerror}).", "Copy or record it again."
        ) from None


def _time_base(path: Path, track: VideoTrack) -> float:
    if not track.time_base:
        raise FileFormatError(f"The video track of {path} has no time base.", "Convert the file.")
    return float(track.time_base)


def _packet_pts(
    container: InputContainer, track: VideoTrack
) -> tuple[np.ndarray | None, list[str]]:
    """Sorted pts of the shown frames by the packets, or None if they do not say; and notes."""
    pts, num_packets, num_corrupt = [], 0, 0
    for packet in container.demux(track):
        if not packet.size:
            # An empty packet repeats the frame before; the one at the end has no time at all.
            num_packets += packet.dts is not None
            continue
        num_packets += 1
        if packet.is_corrupt:
            num_corrupt += 1
        elif packet.pts is None:
            return None, []
        elif not packet.is_discard:
            pts.append(packet.pts)
    notes = []
    if num_corrupt or num_packets < track.frames:
        missing = max(track.frames, num_packets) - num_packets + num_corrupt
        notes.append(f"{missing} frames are cut off or corrupt")
    return np.sort(np.asarray(pts, np.int64)), notes


def _frame_pts(path: Path, container: InputContainer, track: VideoTrack) -> np.ndarray:
    """Sorted pts of all frames, by decoding."""
    pts = [frame.pts for frame in container.decode(track)]
    if any(p is None for p in pts):
        raise FileFormatError(f"The frames of {path} carry no times.", "Convert it to MP4.")
    return np.sort(np.asarray(pts, np.int64))


def _first_frame(path: Path, container: InputContainer, track: VideoTrack) -> av.VideoFrame:
    frame = next(container.decode(track), None)
    if frame is None:
        raise FileFormatError(f"No frame of {path} can be decoded.", "Copy or record it again.")
    return frame


def _frame_rate(path: Path, track: VideoTrack, frame_times_s: np.ndarray) -> float:
    if rate := track.average_rate or track.guessed_rate:
        return float(rate)
    if len(frame_times_s) < 2:
        raise FileFormatError(f"{path} holds one frame and no frame rate.", "Convert the file.")
    return float(1.0 / np.median(np.diff(frame_times_s)))


def _check_file(stream: VideoStream) -> None:
    if not stream.path.is_file():
        raise DataError(
            f'The video {stream.path} of stream "{stream.name}" is missing or was moved.',
            "Put it back, or write the data folder again with copy_video=True.",
        )
    size_bytes = stream.path.stat().st_size
    if stream.num_bytes and size_bytes != stream.num_bytes:
        raise IntegrityError(
            f'The video {stream.path} of stream "{stream.name}" has {size_bytes} bytes '
            f"instead of {stream.num_bytes}, so it was changed.",
            "Restore the file, or open it again.",
        )


def _decode(
    path: Path, container: InputContainer, track: VideoTrack, wanted_pts: list[int]
) -> Iterator[av.VideoFrame]:
    """Yield the frames with the given pts (ascending), in one pass with seeks over gaps."""
    position = track.start_time or 0
    gap = int(_SEEK_GAP_S / _time_base(path, track))
    frames: Iterator[av.VideoFrame] = container.decode(track)
    for pts in wanted_pts:
        if pts - position > gap:
            landed, frames = _seek(container, track, pts)
            if landed <= position:
                # The seek went back: keyframes are further apart than the gap.
                gap = max(2 * gap, pts - landed)
        frame = _find(frames, pts)
        if frame is None:
            # Some containers cannot be sought exactly; the whole way is the last resort.
            container.seek(track.start_time or 0, stream=track)
            frames = container.decode(track)
            frame = _find(frames, pts)
        if frame is None:
            raise FileFormatError(
                f"The frame at {pts * _time_base(path, track):.6g} s of {path} cannot be decoded.",
                "Copy or record the file again.",
            )
        position = pts
        yield frame


def _find(frames: Iterator[av.VideoFrame], pts: int) -> av.VideoFrame | None:
    """Advance to the frame with the given pts; None if it is absent or damaged."""
    frame = next((f for f in frames if f.pts is not None and f.pts >= pts), None)
    return frame if frame and frame.pts == pts and not frame.is_corrupt else None


def _seek(
    container: InputContainer, track: VideoTrack, pts: int
) -> tuple[int, Iterator[av.VideoFrame]]:
    """Go to a keyframe at or before `pts`; return its pts and the frames from it on."""
    start, back = track.start_time or 0, 0
    while True:
        target = max(start, pts - back)
        container.seek(target, stream=track, backward=True)
        frames: Iterator[av.VideoFrame] = container.decode(track)
        first = next(frames, None)
        if first is not None and first.pts is not None and first.pts <= pts:
            return first.pts, chain([first], frames)
        if target == start:
            return start, chain([] if first is None else [first], frames)
        # Some containers seek by decoding time, and land behind the wanted frame.
        back = max(2 * back, (pts - start) >> 6, 1)


def _shown_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Height and width as shown, after the rotation that the file names."""
    return (frame.width, frame.height) if _quarter_turns(frame) % 2 else (frame.height, frame.width)


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns, counter-clockwise, that make the frame upright."""
    return round(frame.rotation / 90) % 4


def _upright(frame: av.VideoFrame, height_px: int, width_px: int) -> np.ndarray:
    turns = _quarter_turns(frame)
    if turns % 2:
        height_px, width_px = width_px, height_px
    scaled = frame.reformat(
        width=width_px, height=height_px, format="rgb24", interpolation="BILINEAR"
    )
    return np.rot90(scaled.to_ndarray(), turns)
