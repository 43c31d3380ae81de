"""Recordings come back from a data folder as they went in; mistakes have clear errors."""

import json
import multiprocessing
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from tests.golden.harness import SHARED

from otolith.core.errors import DataError, FileFormatError, UnknownNameError
from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    Finding,
    Gravity,
    ImuStream,
    Quality,
    Recording,
    VideoStream,
)
from otolith.recordings.store import DataFolder, is_data_folder, write_data_folder


def imu(num_rows=100, names=("acc_x", "acc_y", "acc_z"), *, name="imu", seed=0, rate_hz=50.0):
    samples = np.random.default_rng(seed).normal(size=(num_rows, len(names))).astype(np.float32)
    channels = tuple(Channel.from_name(n, placement="wrist") for n in names)
    return ImuStream(name=name, samples_TC=samples, rate_hz=rate_hz, channels=channels)


def recording(recording_id="r", *streams, **kwargs):
    return Recording(id=recording_id, streams={s.name: s for s in streams}, **kwargs)


def write(path, recordings, **kwargs):
    return write_data_folder(
        path, recordings, name="park", card={"licence": "CC0-1.0"}, progress=False, **kwargs
    )


def same_stream(a, b):
    arrays = [k for k in vars(a) if isinstance(vars(a)[k], np.ndarray)]
    assert arrays
    assert type(a) is type(b)
    for key in vars(a):
        if key in arrays:
            np.testing.assert_array_equal(vars(a)[key], vars(b)[key])
            assert vars(a)[key].dtype == vars(b)[key].dtype
        elif key != "num_bytes":
            assert vars(a)[key] == vars(b)[key], key


def same_recording(a, b):
    for key in ("id", "subject", "dataset", "annotations", "attributes", "findings"):
        assert getattr(a, key) == getattr(b, key), key
    assert list(a.streams) == list(b.streams)
    for name in a.streams:
        same_stream(a.streams[name], b.streams[name])


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"not really a film")
    return VideoStream(
        name="camera", path=path, fps=29.97, frame_times_s=np.arange(7) / 29.97,
        width_px=64, height_px=48, offset_s=0.25,
    )  # fmt: skip


@pytest.fixture
def rich(film):
    features = FeatureStream(
        name="omnivore", values_ND=np.ones((4, 16), np.float32), extractor="omnivore",
        window_s=1.0666, stride_s=0.5333, drift_ppm=3.0,
    )  # fmt: skip
    watch = ImuStream(
        **{
            **vars(imu(31, ("gyro_x", "gyro_y", "gyro_z"), name="watch", rate_hz=31.25)),
            "gravity": Gravity.REMOVED,
            "quality": Quality(flag="suspect", valid_fraction=0.5, notes=("loose strap",)),
            "offset_s": -0.125,
        }
    )
    return recording(
        "day 1/ä", imu(), watch, film, features,
        subject="s1", dataset="park",
        annotations=(
            Annotation(start_s=0.5, end_s=1.5, labels=("walk", "talk"), stream="watch"),
            Annotation(start_s=2.0, end_s=None, text="picks a cup up", verb="pick", noun="cup"),
        ),
        attributes={"side": "left", "note": "“quoted”"},
        findings=(Finding(check="units.acc", status="inferred", fact="g.", evidence="1.01"),),
    )  # fmt: skip


def test_everything_of_a_recording_comes_back(tmp_path, rich):
    folder = write(tmp_path / "park", [rich, recording("empty")])
    same_recording(rich, folder.recording("day 1/ä"))
    same_recording(recording("empty"), folder.recording("empty"))
    assert folder.recording_ids == ("day 1/ä", "empty")
    assert [r.id for r in folder.iterate()] == ["day 1/ä", "empty"]
    assert folder.verify() == []


def test_samples_are_read_only_views_on_the_map(tmp_path):
    folder = write(tmp_path / "park", [recording("a", imu(5)), recording("b", imu(6, seed=1))])
    samples = folder.recording("b").imus["imu"].samples_TC
    whole = folder.rows(1, 0, 6)
    assert samples.base is not None
    assert np.shares_memory(samples, whole)
    assert not samples.flags.writeable
    np.testing.assert_array_equal(folder.rows(1, 2, 4), imu(6, seed=1).samples_TC[2:4])


@pytest.mark.parametrize(("row", "start", "stop"), [(0, -1, 2), (0, 3, 2), (0, 0, 6), (-1, 0, 1)])
def test_rows_outside_the_stream_are_refused(tmp_path, row, start, stop):
    folder = write(tmp_path / "park", [recording("a", imu(5)), recording("b", imu(50))])
    with pytest.raises(IndexError):
        folder.rows(row, start, stop)


def test_rows_of_one_layout_share_a_tensor_that_safetensors_reads(tmp_path):
    streams = [imu(n, seed=n) for n in (3, 0, 4)]
    other = imu(2, ("gyro_x",), name="other")
    recordings = [recording(str(i), s, other) for i, s in enumerate(streams)]
    folder = write(tmp_path / "park", recordings)
    shards = sorted((folder.path / "signals").iterdir())
    assert len(shards) == 2
    tensors = [load_file(p)["imu"] for p in shards]
    np.testing.assert_array_equal(tensors[0], np.concatenate([s.samples_TC for s in streams]))
    assert tensors[1].shape == (6, 1)


def test_a_full_shard_is_followed_by_another(tmp_path):
    recordings = [recording(str(i), imu(100, seed=i)) for i in range(10)]
    folder = write(tmp_path / "park", recordings, shard_bytes=3000)
    sizes = [p.stat().st_size for p in (folder.path / "signals").iterdir()]
    assert len(sizes) == 5
    assert max(sizes) <= 3000
    for r in recordings:
        same_recording(r, folder.recording(r.id))
    big = write(tmp_path / "big", [recording("long", imu(1000))], shard_bytes=3000)
    assert len(big.recording("long").imus["imu"].samples_TC) == 1000


def test_more_layouts_than_open_files(tmp_path):
    recordings = [
        recording(f"{i}-{k}", imu(4, (f"c{i}_acc_x",), seed=i + k))
        for k in range(2)
        for i in range(80)
    ]
    folder = write(tmp_path / "park", recordings)
    for r in recordings:
        same_recording(r, folder.recording(r.id))


def test_samples_in_foreign_memory_order_are_stored_right(tmp_path):
    samples = np.arange(12, dtype=np.float32).reshape(3, 4).T
    channels = tuple(Channel.from_name(n) for n in ("acc_x", "acc_y", "acc_z"))
    stream = ImuStream(name="imu", samples_TC=samples[::2], rate_hz=1.0, channels=channels)
    folder = write(tmp_path / "park", [recording("a", stream)])
    np.testing.assert_array_equal(folder.rows(0, 0, 2), samples[::2])


def test_tables_and_info_are_plain(tmp_path, rich):
    split = {"official": {"train": ("s1",), "test": ()}}
    folder = write(tmp_path / "park", [rich], splits=split)
    info = json.loads((folder.path / "dataset.json").read_text())
    assert info == folder.info
    assert info["splits"] == {"official": {"train": ["s1"], "test": []}}
    assert (info["name"], info["num_recordings"], info["num_streams"]) == ("park", 1, 4)
    assert info["channels"] == ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
    streams = pd.read_parquet(folder.path / "streams.parquet")
    assert list(streams["kind"]) == ["imu", "imu", "video", "features"]
    assert list(streams["num_rows"]) == [100, 31, 7, 4]
    assert json.loads(streams["channels"][0])[2]["name"] == "acc_z"
    notes = pd.read_parquet(folder.path / "annotations.parquet")
    assert list(notes["labels"][0]) == ["walk", "talk"]
    assert np.isnan(notes["end_s"][1])


def _read_in_child(folder):
    return folder.rows(1, 0, 3).tolist()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_the_same(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    folder = write(tmp_path / "park", [recording("a", imu(5)), recording("b", imu(6, seed=1))])
    folder.rows(0, 0, 1)
    assert len(pickle.dumps(folder)) < 1000
    with multiprocessing.get_context(method).Pool(1) as pool:
        got = pool.apply(_read_in_child, (folder,))
    assert got == folder.rows(1, 0, 3).tolist()


def test_an_unknown_id_names_the_nearest(tmp_path):
    folder = write(tmp_path / "park", [recording(f"session_{i:04d}") for i in range(2000)])
    with pytest.raises(UnknownNameError, match='Did you mean "session_0123"'):
        folder.recording("session_0123b")
    with pytest.raises(UnknownNameError, match="holds 2000 others"):
        folder.recording("%")


def test_overwriting_happens_on_request_and_never_hits_foreign_folders(tmp_path):
    target = tmp_path / "park"
    target.mkdir()
    write(target, [recording("old")])
    with pytest.raises(DataError, match="overwrite=True"):
        write(target, [recording("new")])
    assert DataFolder.open(target).recording_ids == ("old",)
    assert write(target, [recording("new")], overwrite=True).recording_ids == ("new",)
    assert [p.name for p in tmp_path.iterdir()] == ["park"]
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("precious")
    with pytest.raises(DataError, match="not written by Otolith"):
        write(foreign, [recording("new")], overwrite=True)
    assert (foreign / "chapter.txt").read_text() == "precious"
    with pytest.raises(DataError, match="is a file"):
        write(foreign / "chapter.txt", [], overwrite=True)


def test_a_failing_source_leaves_the_old_folder_and_no_litter(tmp_path):
    write(tmp_path / "park", [recording("old")])

    def broken():
        yield recording("new", imu(5))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="broke"):
        write(tmp_path / "park", broken(), overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["park"]
    assert DataFolder.open(tmp_path / "park").recording_ids == ("old",)


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ([recording("a"), recording("a")], "Two recordings"),
        ([Recording(id="a", streams={"x": imu()})], 'lists stream "imu" under "x"'),
        ([recording("a", subject="\ud800")], "cannot be stored"),
        ([recording("a", attributes={"x": object()})], "attributes cannot be stored"),
        (
            [recording("a", FeatureStream(name="f", values_ND=np.ones((2, 2), np.float32),
                                          extractor="i3d", window_s=1.0, stride_s=0.0))],
            "stride of 0",
        ),
        (
            [recording("a", FeatureStream(name="f", values_ND=np.ones((2, 2)), extractor="i3d",
                                          window_s=1.0, stride_s=1.0))],
            "float32",
        ),
        ([recording("a", VideoStream(name="v", path=Path("no_such.mp4"), fps=1.0, frame_times_s=np.ones(1),
                                     width_px=1, height_px=1))], "missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_said(tmp_path, recordings, message):
    with pytest.raises(DataError, match=message):
        write(tmp_path / "park", recordings)
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(DataError, match="card"):
        write_data_folder(tmp_path / "x", [], name="x", card={"n": float("nan")})


def test_video_is_referred_to_or_copied(tmp_path, film):
    def paths(folder):
        return [r.streams["camera"].path for r in folder.iterate()]

    two = [recording("a", film), recording("b", film)]
    folder = write(tmp_path / "referred", two, hash_video=True)
    assert paths(folder) == [film.path, film.path]
    assert folder.verify() == []
    copied = write(tmp_path / "copied", two, copy_video=True)
    assert paths(copied) == [copied.path / "videos" / "00000.mp4"] * 2
    assert paths(copied)[0].read_bytes() == film.path.read_bytes()
    film.path.write_bytes(b"not really a filM")
    assert folder.verify(hashes=False) == []
    assert "sha256" in " ".join(folder.verify())
    film.path.unlink()
    assert "was moved" in " ".join(folder.verify())
    assert copied.verify() == []


def test_opening_names_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="no data folder"):
        DataFolder.open(tmp_path / "nowhere")
    (tmp_path / "half").mkdir()
    with pytest.raises(DataError, match="never finished"):
        DataFolder.open(tmp_path / "half")
    folder = write(tmp_path / "park", [recording("a")])
    assert is_data_folder(folder.path)
    assert not is_data_folder(tmp_path / "half")
    info = folder.path / "dataset.json"
    info.write_text(info.read_text().replace('"format": 1', '"format": 7'))
    with pytest.raises(FileFormatError, match=r"says format 7; .* reads format 1"):
        DataFolder.open(folder.path)


def test_rows_of_a_recording_need_not_lie_together(tmp_path):
    """Tables may have been sorted by another tool."""
    folder = write(tmp_path / "park", [recording("a", imu(3), imu(4, name="x")),
                                       recording("b", imu(5), imu(6, name="x"))])  # fmt: skip
    path = folder.path / "streams.parquet"
    pd.read_parquet(path).sort_values(["stream", "recording_id"]).to_parquet(path)
    again = DataFolder.open(folder.path)
    same_recording(again.recording("b"), recording("b", imu(5), imu(6, name="x")))
    assert [p for p in again.verify() if "streams.parquet" not in p] == []


def test_a_folder_can_be_rewritten_from_itself(tmp_path):
    folder = write(tmp_path / "park", [recording(str(i), imu(50, seed=i)) for i in range(5)])
    kept = (r for r in folder.iterate() if r.id != "2")
    again = write(tmp_path / "park", kept, overwrite=True)
    assert again.recording_ids == ("0", "1", "3", "4")
    same_recording(again.recording("4"), recording("4", imu(50, seed=4)))


def test_memory_does_not_grow_with_the_amount_of_data(tmp_path):
    def recordings():
        for i in range(60):
            yield recording(str(i), imu(80_000))

    tracemalloc.start()
    try:
        write(tmp_path / "park", recordings(), shard_bytes=20_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(p.stat().st_size for p in (tmp_path / "park" / "signals").iterdir()) > 57_000_000
    assert peak < 12_000_000


HAPT = SHARED / "data" / "imu" / "hapt" / "hapt.parquet"


@pytest.mark.skipif(not HAPT.exists(), reason="the shared sensor recordings are absent")
def test_real_recordings_come_back(tmp_path):
    names = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
    data = pd.read_parquet(HAPT, columns=["recording_id", "subject", *names])
    recordings = [
        Recording(id=str(i), subject=str(g["subject"].iloc[0]), streams={"imu": ImuStream(
            name="imu", samples_TC=g[names].to_numpy(np.float32), rate_hz=50.0,
            channels=tuple(Channel.from_name(n, placement="waist") for n in names))})
        for i, g in data.groupby("recording_id", sort=False)
    ]  # fmt: skip
    folder = write(tmp_path / "hapt", recordings, shard_bytes=5_000_000)
    assert len(folder.recording_ids) == len(recordings) > 50
    for wanted in recordings:
        same_recording(wanted, folder.recording(wanted.id))
    assert folder.verify() == []
