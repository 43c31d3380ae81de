"""The frame displayed at a time is found by seeking, and faults of files have clear errors."""

import struct
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from tests.golden.harness import SHARED

from otolith.core.errors import DataError, FileFormatError, IntegrityError
from otolith.recordings.clocks import sample_times_s, slice_recording
from otolith.recordings.recording import Recording
from otolith.recordings.store import write_data_folder
from otolith.recordings.video import frame_indices, open_video, read_frames

FPS = 10


def make_film(path, num_frames=60, *, codec="mpeg4", gop=12, pts=None, b_frames=0):
    """A film of 32 x 48 whose frame i is grey with brightness 4 i, its upper left corner white."""
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=FPS)
        track.width, track.height, track.pix_fmt = (
            48,
            32,
            "yuvj420p" if codec == "mjpeg" else "yuv420p",
        )
        track.codec_context.gop_size = gop
        track.codec_context.max_b_frames = b_frames
        unit = Fraction(1, 1000 if pts else FPS)
        track.codec_context.time_base = unit
        track.bit_rate = 4_000_000
        for i in range(num_frames):
            image = np.full((32, 48, 3), 4 * i, np.uint8)
            image[:16, :16] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = pts[i] if pts else i
            frame.time_base = unit
            container.mux(track.encode(frame))
        container.mux(track.encode())
    return path


def brightness(frames):
    return np.rint(frames[:, 20:, 20:].mean((1, 2, 3)) / 4).astype(int)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return open_video(make_film(tmp_path_factory.mktemp("film") / "film.mp4"))


def test_times_and_sizes_are_read_without_decoding(film):
    np.testing.assert_allclose(film.frame_times_s - film.frame_times_s[0], np.arange(60) / FPS)
    assert (film.height_px, film.width_px, film.fps) == (32, 48, 10.0)
    assert film.duration_s == pytest.approx(6.0)
    assert film.quality.flag == "good"
    assert film.num_bytes == film.path.stat().st_size


@pytest.mark.parametrize(
    "frames",
    [list(range(60)), [0], [59], [3, 3, 3], [40, 2, 59, 2, 11, 12, 13], [0, 30, 31, 58], []],
)
def test_any_frames_in_any_order(film, frames):
    got = read_frames(film, (np.array(frames) + 0.5) / FPS)
    assert got.shape == (len(frames), 32, 48, 3)
    assert got.dtype == np.uint8
    assert brightness(got).tolist() == frames if frames else not got.size


@pytest.mark.parametrize(
    ("suffix", "codec", "b_frames"),
    [
        ("mp4", "libx264", 3),
        ("mkv", "libx264", 3),
        ("ts", "libx264", 3),
        ("mp4", "mpeg4", 2),
        ("mkv", "mpeg4", 2),
        ("mkv", "mpeg2video", 2),
        ("avi", "mpeg4", 2),
        ("mov", "mjpeg", 0),
    ],
)
def test_containers_and_codecs_with_reordered_frames(tmp_path, codec, b_frames, suffix):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = make_film(tmp_path / f"x.{suffix}", codec=codec, b_frames=b_frames)
    stream = open_video(path)
    assert len(stream.frame_times_s) == 60
    wanted = [1, 2, 35, 36, 59]
    times = sample_times_s(stream)[wanted] + 0.01
    assert np.abs(brightness(read_frames(stream, times)) - wanted).max() <= 1


def test_keyframes_far_apart_are_decoded_once_through(tmp_path):
    stream = open_video(make_film(tmp_path / "x.mp4", gop=600))
    frames = [0, 15, 30, 45, 59]
    assert brightness(read_frames(stream, sample_times_s(stream)[frames])).tolist() == frames


def test_irregular_frame_times(tmp_path):
    pts = [0, 40, 90, 1000, 1010, 3000]
    stream = open_video(make_film(tmp_path / "x.mkv", 6, pts=pts))
    np.testing.assert_allclose(stream.frame_times_s, np.array(pts) / 1000)
    times = [0.0399, 0.04, 0.999, 1.0, 2.99, 3.0]
    assert brightness(read_frames(stream, times)).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_time_just_below_a_frame_by_rounding_shows_that_frame(film):
    assert frame_indices(film, [0.3 - 1e-12, 0.1 * 3]).tolist() == [3, 3]
    assert frame_indices(film, [0.3 - 1e-4]).tolist() == [2]


def test_offset_drift_and_cutting_move_the_times(film):
    moved = replace(film, offset_s=100.0, drift_ppm=10_000.0)
    assert frame_indices(moved, [100.0, 100.0 + 1.01 * 3.05]).tolist() == [0, 30]
    part = slice_recording(Recording(id="r", streams={"camera": film}), 2.0, 4.0)
    assert brightness(read_frames(part.streams["camera"], [0.0, 1.95])).tolist() == [20, 39]


@pytest.mark.parametrize("times", [[-0.2], [1.0, 6.2], [np.nan], [np.inf], [[1.0]]])
def test_times_outside_are_refused(film, times):
    with pytest.raises(DataError, match=r"shows nothing at|have shape"):
        read_frames(film, times)
    assert len(read_frames(film, [0.0, film.duration_s])) == 2


def test_frames_are_scaled(film):
    frames = read_frames(film, [1.0, 2.0], size=(8, 24))
    assert frames.shape == (2, 8, 24, 3)
    assert frames[0, 1, 1].min() > 200
    assert frames[0, 6, 20].max() < 80
    with pytest.raises(DataError, match="size"):
        read_frames(film, [1.0], size=(0, 4))


def rotated(path, matrix):
    """Write a rotation into the header of an MP4 track."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    assert struct.unpack(">i", data[start : start + 4])[0] == 1 << 16
    data[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "shape", "corner"),
    [
        ((0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30), (48, 32), (2, 29)),
        ((-(1 << 16), 0, 0, 0, -(1 << 16), 0, 48 << 16, 32 << 16, 1 << 30), (32, 48), (29, 45)),
    ],
)
def test_a_film_taken_sideways_comes_upright(tmp_path, matrix, shape, corner):
    stream = open_video(rotated(make_film(tmp_path / "x.mp4", 5), matrix))
    assert (stream.height_px, stream.width_px) == shape
    frame = read_frames(stream, [0.1])[0]
    assert frame.shape == (*shape, 3)
    assert frame[corner].min() > 200
    assert frame.mean() < 80
    half = read_frames(stream, [0.1], size=(shape[0] // 2, shape[1] // 2))[0]
    assert half.shape == (shape[0] // 2, shape[1] // 2, 3)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(DataError, match="no video"):
        open_video(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("hello " * 100)
    with pytest.raises(FileFormatError, match="not a video, or is corrupt"):
        open_video(tmp_path / "text.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(FileFormatError):
        open_video(tmp_path / "empty.mp4")


def test_a_file_with_sound_only(tmp_path):
    with av.open(str(tmp_path / "x.wav"), "w") as container:
        track = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(track.encode(frame))
        container.mux(track.encode())
    with pytest.raises(DataError, match="no video track"):
        open_video(tmp_path / "x.wav")


def test_a_cut_off_film_is_refused_or_marked(tmp_path):
    path = make_film(tmp_path / "x.mp4")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(FileFormatError):
        open_video(path)
    data = make_film(tmp_path / "x.mkv").read_bytes()
    (tmp_path / "y.mkv").write_bytes(data[: len(data) // 2])
    short = open_video(tmp_path / "y.mkv")
    assert len(short.frame_times_s) < 60
    with pytest.raises(DataError, match="shows nothing"):
        read_frames(short, [5.9])


def test_a_changed_or_moved_file_is_one_sentence(tmp_path):
    stream = open_video(make_film(tmp_path / "x.mp4", 6))
    data = stream.path.read_bytes()
    stream.path.write_bytes(data + b"\0")
    with pytest.raises(IntegrityError, match="was changed"):
        read_frames(stream, [0.1])
    with pytest.raises(DataError, match="has changed"):
        write_data_folder(tmp_path / "d", [Recording(id="a", streams={"camera": stream})],
                          name="d", card={}, progress=False)  # fmt: skip
    stream.path.rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(DataError, match="missing or was moved"):
        read_frames(stream, [0.1])


def test_frames_come_through_the_store(tmp_path):
    stream = open_video(make_film(tmp_path / "x.mp4", 20))
    folder = write_data_folder(
        tmp_path / "d", [Recording(id="a", streams={"camera": stream})], name="d", card={},
        copy_video=True, progress=False,
    )  # fmt: skip
    stream.path.unlink()
    stored = folder.recording("a").streams["camera"]
    assert brightness(read_frames(stored, [0.7])).tolist() == [7]


REAL = sorted((SHARED / "data" / "video").glob("*/*.mp4"))
REAL = [p for p in REAL if p.parent.name in {"gopro", "action_clips", "aria_snippet"}]


@pytest.mark.skipif(not REAL, reason="the shared video files are absent")
@pytest.mark.parametrize("path", REAL, ids=lambda p: p.stem)
def test_real_films_agree_with_plain_decoding(path):
    stream = open_video(path)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = np.array([f.pts * float(f.time_base) for f in frames])
    np.testing.assert_allclose(stream.frame_times_s, times, atol=1e-9)
    assert stream.quality.flag == "good"
    wanted = np.unique(np.linspace(0, len(frames) - 1, 6).astype(int))
    shown = sample_times_s(stream)[wanted] + 0.3 / stream.fps
    got = read_frames(stream, shown)
    for image, index in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(image, frames[index].to_ndarray(format="rgb24"))
