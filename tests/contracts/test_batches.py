"""A generated data folder with everything in it becomes batches that keep the contract.

Two motion rates, video, precomputed features, several texts per clip, multi-label and interval
targets, a missing stream and a missing value; read from the real store, with and without workers.
"""

import av
import numpy as np
import pytest
import torch

from otolith.datasets._part import DatasetPart
from otolith.recordings import Annotation, Channel, FeatureStream, ImuStream, Quality, Recording
from otolith.recordings.store import DataFolder, write_data_folder
from otolith.recordings.video import open_video
from otolith.windows.batch import Ragged
from otolith.windows.dataset import WindowDataset
from otolith.windows.loader import make_loader
from otolith.windows.sampling import GlobalBatchSampler
from otolith.windows.table import WindowSpec
from otolith.windows.transforms import Augmenter, preset

DURATION_S, VIDEO_FPS = 12, 10
SPEC = WindowSpec(
    window_s=3.0,
    streams=("wrist", "head", "clip", "camera"),
    targets=("label", "multi_label", "intervals", "verb_noun", "text"),
    keep_unlabelled=True,
    video_fps=2.0,
    video_size_px=(24, 32),
)


def write_video(path):
    """A video whose brightness is twice the number of the frame."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg4", rate=VIDEO_FPS)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for number in range(DURATION_S * VIDEO_FPS):
            picture = np.full((48, 64, 3), 2 * number, np.uint8)
            for packet in track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in track.encode():
            container.mux(packet)
    return path


def motion(name, rate_hz, sensors, seed, *, has_hole=False):
    samples = np.random.default_rng(seed).normal(size=(int(DURATION_S * rate_hz), 3 * len(sensors)))
    samples = samples.astype(np.float32)
    if has_hole:
        samples[40:60] = np.nan
    channels = tuple(Channel.from_name(f"{name}_{s}_{a}") for s in sensors for a in "xyz")
    share = float(np.isfinite(samples).all(1).mean())
    return ImuStream(
        name=name,
        samples_TC=samples,
        rate_hz=rate_hz,
        channels=channels,
        quality=Quality(valid_fraction=share),
    )


def one_recording(number, video):
    streams = [
        motion("wrist", 50.0, ("acc", "gyro"), number, has_hole=number == 1),
        FeatureStream(
            name="clip",
            values_ND=np.random.default_rng(number).normal(size=(23, 8)).astype(np.float32),
            extractor="toy",
            window_s=1.0,
            stride_s=0.5,
        ),
    ]
    if number != 2:
        streams.append(motion("head", 20.0, ("acc",), 10 + number))
    if number == 0:
        streams.append(open_video(video, "camera"))
    notes = (
        Annotation(start_s=0.0, end_s=5.0, labels=("cook", "talk")),
        Annotation(start_s=4.0, end_s=12.0, labels=("wash",)),
        Annotation(start_s=1.0, end_s=2.0, text="takes a cup", track="narration"),
        Annotation(start_s=1.5, end_s=None, text="looks up", track="narration"),
        Annotation(start_s=6.5, end_s=8.0, verb="wash", noun="cup", track="action"),
    )
    return Recording(
        id=f"r{number}",
        subject=f"s{number}",
        streams={s.name: s for s in streams},
        annotations=notes,
    )


@pytest.fixture(name="part", scope="module")
def _part(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batches")
    video = write_video(folder / "camera.mp4")
    recordings = [one_recording(number, video) for number in range(4)]
    write_data_folder(folder / "kitchen", recordings, name="kitchen", card={}, progress=False)
    opened = DataFolder.open(folder / "kitchen")
    return DatasetPart(
        name="kitchen",
        folder=opened,
        recording_ids=opened.recording_ids,
        subjects=tuple(f"s{n}" for n in range(4)),
        labels=("cook", "talk", "wash"),
    )


@pytest.fixture(name="batch", scope="module")
def _batch(part):
    dataset = WindowDataset([part], SPEC)
    return dataset.batch(np.arange(len(dataset)), 0)


def test_every_stream_keeps_the_contract(batch):
    assert tuple(batch.streams) == SPEC.streams
    for stream in batch.streams.values():
        num, time = stream.mask_BT.shape
        assert stream.values.shape[:2] == (num, time) == (len(batch), time)
        assert stream.mask_BT.dtype == torch.bool
        assert stream.rate_hz_B.dtype == stream.start_s_B.dtype == torch.float64
        assert (stream.rate_hz_B > 0).all()
        assert (stream.values[~stream.mask_BT] == 0).all()
        assert torch.isfinite(stream.values.float()).all()
    for name in ("wrist", "head"):
        stream = batch.streams[name]
        widths = stream.channel_mask_BC.sum(1)
        there = stream.mask_BT.any(1)
        assert [len(c) for c in stream.channels] == torch.where(there, widths, 0).tolist()


def test_streams_cover_the_same_seconds(batch):
    wrist = batch.streams["wrist"]
    for name, seconds in [("head", 0.05), ("clip", 0.5), ("camera", 0.5)]:
        stream = batch.streams[name]
        there = stream.mask_BT.any(1) & wrist.mask_BT.any(1)
        assert there.any()
        apart = (stream.start_s_B - wrist.start_s_B)[there].abs()
        assert (apart <= seconds).all()
    assert batch.streams["head"].mask_BT.sum(1).max() == 60
    assert wrist.mask_BT.sum(1).max() == 150


def test_missing_streams_and_values_are_masked(batch):
    of = {n: [name.split("/")[1][:2] == n for name in batch.names] for n in ("r0", "r1", "r2")}
    assert not batch.streams["head"].mask_BT[of["r2"]].any()
    assert batch.streams["camera"].mask_BT.any(1).tolist() == of["r0"]
    first = of["r1"].index(True)
    hole = ~batch.streams["wrist"].mask_BT[first, :150]
    assert hole.nonzero().flatten().tolist() == list(range(40, 60))


def test_frames_are_those_displayed_at_their_times(batch):
    camera = batch.streams["camera"]
    assert camera.values.dtype == torch.uint8
    assert camera.values.shape[2:] == (24, 32, 3)
    for i in camera.mask_BT.any(1).nonzero().flatten().tolist():
        times_s = camera.start_s_B[i] + torch.arange(6) / camera.rate_hz_B[i]
        expected = 2 * torch.floor(times_s * VIDEO_FPS + 1e-6)
        shown = camera.values[i].float().mean((1, 2, 3))
        torch.testing.assert_close(shown.double(), expected.double(), atol=4.0, rtol=0.0)


def test_targets_and_texts(batch):
    starts = batch.streams["wrist"].start_s_B.round().tolist()
    first, second = starts.index(0.0), starts.index(3.0)
    assert batch.targets["label"][[first, second]].tolist() == [0, 0]
    assert batch.targets["multi_label"][second].tolist() == [1, 1, 1]
    intervals = batch.targets["intervals"]
    assert isinstance(intervals, Ragged)
    assert intervals[second].tolist() == [[3, 5], [3, 5], [4, 6]]
    assert len(batch.targets["interval_labels"].values) == len(intervals.values)
    assert batch.texts["text"][first] == ("takes a cup", "looks up")
    assert batch.texts["text"][second] == ()
    verbs = batch.targets["verb"].tolist()
    assert {verbs[i] for i, s in enumerate(starts) if s == 6.0} == {0}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loading_gives_the_batches_of_the_data_set(part, num_workers):
    dataset = WindowDataset([part], SPEC, seed=1, transform=Augmenter(preset("weak")))
    sampler = GlobalBatchSampler(len(dataset), 4, seed=1, shuffle=True)
    seen = []
    for batch in make_loader(dataset, sampler, num_workers=num_workers).batches(2):
        again = dataset.batch(batch.ids.numpy(), 2)
        for name, stream in batch.streams.items():
            assert torch.equal(stream.values, again.streams[name].values)
            assert torch.equal(stream.mask_BT, again.streams[name].mask_BT)
        seen += batch.ids.tolist()
    assert sorted(seen) == list(range(len(dataset)))


def test_whole_recordings_are_batches_of_the_same_type(part):
    spec = WindowSpec(
        whole=True, streams=("wrist", "clip"), label_rule="none", targets=("intervals",)
    )
    batch = WindowDataset([part], spec).batch(np.arange(4), 0)
    assert batch.streams["wrist"].values.shape == (4, 600, 6)
    assert batch.streams["clip"].values.shape == (4, 23, 8)
    assert batch.targets["intervals"][3].tolist() == [[0, 5], [0, 5], [4, 12]]


def test_moving_a_batch_moves_every_tensor(batch):
    moved = batch.to("meta")
    assert moved.streams["clip"].values.is_meta
    assert moved.targets["intervals"].values.is_meta
    assert moved.streams["wrist"].channels == batch.streams["wrist"].channels
