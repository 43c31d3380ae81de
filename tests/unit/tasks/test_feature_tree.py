"""The feature tree of WEAR: folders, starts of windows, one pass, resumption."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.fixtures.official_layouts_himu import wear_signals, write_json, write_wear
from tests.golden.harness import SHARED
from typer.testing import CliRunner

from otolith.cli.main import app
from otolith.core.errors import ConfigError, DataError
from otolith.datasets import make_dataset, wear
from otolith.recordings.recording import Channel, FeatureStream, ImuStream, Recording
from otolith.systems import System
from otolith.tasks._feature_tree import Config, clip_seconds, cut_windows, write_feature_tree
from otolith.tasks._model import Model, load_model
from otolith.windows.memory import memory_part

CLIP = "120_frames_60_stride"
G = 9.80665


class Flat(System):
    """A debug model: an embedding that is the first column of the window, and counts its passes."""

    trainable = False

    def __init__(self):
        super().__init__()
        self.num_windows = 0

    def embed(self, batch):
        stream = next(iter(batch.streams.values()))
        self.num_windows += len(stream.values)
        return torch.nan_to_num(stream.values[:, :, 0])

    def loss(self, batch):
        raise NotImplementedError

    def parameter_groups(self):
        return []


def flat():
    return Model("flat", Flat().eval(), system_name="flat")


def recording(num_rows=1000, name="sbj_0", num_features=None, window_s=2.0, stride_s=1.0):
    values = np.arange(num_rows, dtype=np.float32)[:, None] + np.zeros(3, np.float32)
    streams = {
        "imu": ImuStream(
            name="imu", samples_TC=values, rate_hz=50.0,
            channels=tuple(Channel.from_name(f"acc_{a}") for a in "xyz"),
        )
    }  # fmt: skip
    if num_features:
        streams["i3d"] = FeatureStream(
            name="i3d", values_ND=np.full((num_features, 8), 7.0, np.float32), extractor="i3d",
            window_s=window_s, stride_s=stride_s,
        )  # fmt: skip
    return Recording(id=name, subject=name, streams=streams)


def starts_of(num_rows, clip, **settings):
    windows = cut_windows(recording(num_rows), Config(clip=clip, streams=("imu",), **settings))
    return windows.table.start_row[:, 0].tolist()


def upstream_starts(num_rows, window):
    """The publishers' loop: overlap of one half, a last window that fits exactly is dropped."""
    overlap, start, phase, found = window // 2, 0, 0, []
    while start < num_rows - window:
        found.append(start)
        step = window - overlap
        if window % 2:
            step, phase = step - 1 + phase, 1 - phase
        start += step
    return found


@pytest.mark.parametrize(
    ("clip", "window"), [(CLIP, 100), ("60_frames_30_stride", 50), ("30_frames_15_stride", 25)]
)
@pytest.mark.parametrize("num_rows", [999, 1000, 1001, 1013])
def test_windows_start_where_the_publishers_start_them(clip, window, num_rows):
    assert starts_of(num_rows, clip) == upstream_starts(num_rows, window)


def test_a_last_window_may_be_kept():
    assert starts_of(1000, CLIP) == list(range(0, 900, 50))
    assert starts_of(1000, CLIP, drop_last=False) == list(range(0, 901, 50))


def test_clips_and_short_recordings():
    assert clip_seconds("30_frames_15_stride", 60.0) == (0.5, 0.25)
    with pytest.raises(ConfigError, match="does not name a clip"):
        clip_seconds("30_15", 60.0)
    with pytest.raises(DataError, match=r"sbj_0|window"):
        cut_windows(recording(100), Config(streams=("imu",)))


def test_the_tree_and_its_rows(tmp_path):
    part = memory_part([recording(1000, num_features=17)])
    settings = Config(streams=("imu",), variant="split_1/base")
    result = write_feature_tree(flat(), part, tmp_path, settings)
    motion = np.load(
        tmp_path / "inertial_features" / CLIP / "mae" / "split_1" / "base" / "sbj_0.npy"
    )
    both = np.load(tmp_path / "combined_features" / CLIP / "mae" / "split_1" / "base" / "sbj_0.npy")
    assert motion.shape == (18, 100)
    assert motion.dtype == both.dtype == np.float32
    np.testing.assert_array_equal(motion[:, 0], np.arange(0, 900, 50))
    np.testing.assert_array_equal(both[:, :100], motion[:17])
    assert (both[:, 100:] == 7.0).all()
    assert result.folders[0].name == result.folders[1].name == "base"
    for folder in result.folders:
        assert [p.name for p in folder.iterdir()] == ["sbj_0.npy"]
    assert (result.num_windows, result.width) == (18, 100)


def test_motion_alone(tmp_path):
    settings = Config(streams=("imu",), video="")
    write_feature_tree(flat(), memory_part([recording()]), tmp_path, settings)
    assert [p.name for p in tmp_path.iterdir()] == ["inertial_features"]


def test_an_interrupted_run_goes_on_with_one_pass_per_recording(tmp_path):
    part = memory_part([recording(name=f"sbj_{i}", num_features=18) for i in range(3)])
    settings, model = Config(streams=("imu",)), flat()
    first = write_feature_tree(model, part, tmp_path, settings)
    assert model.system.num_windows == 3 * 18
    wanted = {p: p.read_bytes() for folder in first.folders for p in folder.iterdir()}
    one, two = (folder / "sbj_1.npy" for folder in first.folders)
    one.write_bytes(one.read_bytes()[:200])
    (first.folders[0] / "sbj_2.npy").unlink()
    again = flat()
    second = write_feature_tree(again, part, tmp_path, settings)
    assert second.written == ("sbj_1", "sbj_2")
    assert second.kept == ("sbj_0",)
    assert again.system.num_windows == 2 * 18
    assert second.num_windows == first.num_windows
    assert {p: p.read_bytes() for p in wanted} == wanted
    assert two.exists()


def test_features_of_two_models_are_not_mixed(tmp_path):
    part = memory_part([recording(num_features=18)])
    write_feature_tree(flat(), part, tmp_path, Config(streams=("imu",)))
    other = load_model("statistics")
    with pytest.raises(ConfigError, match="another model"):
        write_feature_tree(other, part, tmp_path, Config(streams=("imu",)))
    found = write_feature_tree(other, part, tmp_path, Config(streams=("imu",)), overwrite=True)
    assert found.written == ("sbj_0",)
    assert found.width != 100


def test_nothing_is_left_behind_by_a_failure(tmp_path):
    class Broken(Flat):
        def embed(self, batch):
            return super().embed(batch) * float("nan")

    model = Model("broken", Broken().eval())
    with pytest.raises(DataError, match="not finite"):
        write_feature_tree(model, memory_part([recording(num_features=18)]), tmp_path, Config())
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({}, "has no features"),
        ({"num_features": 30}, "30 windows"),
        ({"num_features": 18, "stride_s": 0.5}, "every 0.5 s"),
    ],
)
def test_video_features_that_do_not_fit_are_refused(tmp_path, features, words):
    with pytest.raises(DataError, match=words):
        write_feature_tree(
            flat(), memory_part([recording(**features)]), tmp_path, Config(streams=("imu",))
        )


@pytest.mark.parametrize("settings", [{"name": ".."}, {"variant": "a/../b"}, {"variant": "a b"}])
def test_names_that_leave_the_tree_are_refused(tmp_path, settings):
    with pytest.raises(ConfigError, match="cannot name"):
        write_feature_tree(
            flat(), memory_part([recording(num_features=18)]), tmp_path, Config(**settings)
        )


class Projection(Flat):
    """A debug model with weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(100, 16)

    def embed(self, batch):
        return self.layer(super().embed(batch) / 1000.0)


def test_bfloat16_changes_features_a_little(tmp_path):
    part, model = memory_part([recording()]), Model("projection", Projection().eval())
    found = {}
    for precision in ("float32", "bfloat16"):
        settings = Config(streams=("imu",), video="", variant=precision, precision=precision)
        folder = write_feature_tree(model, part, tmp_path, settings).folders[0]
        found[precision] = np.load(folder / "sbj_0.npy")
    assert found["bfloat16"].dtype == np.float32
    np.testing.assert_allclose(*found.values(), atol=0.02)
    assert not np.array_equal(*found.values())


def test_weights_on_disk_tell_models_of_one_name_apart(tmp_path):
    part, settings = memory_part([recording()]), Config(streams=("imu",), video="")
    for content, is_other in ((b"one", False), (b"one", False), (b"two", True)):
        weights = tmp_path / "run" / "model.safetensors"
        weights.parent.mkdir(exist_ok=True)
        weights.write_bytes(content)
        model = Model("run", Flat().eval(), path=weights.parent)
        if is_other:
            with pytest.raises(ConfigError, match="another model"):
                write_feature_tree(model, part, tmp_path / "out", settings)
        else:
            write_feature_tree(model, part, tmp_path / "out", settings)


def test_the_command_on_a_release(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    root = write_wear(tmp_path / "wear", wear_signals(1000, people=(0, 7)), combined=False)
    make_dataset("wear", root=root)
    limbs = ",".join(f"{limb}_acc" for limb in ("right_arm", "right_leg", "left_leg", "left_arm"))
    words = [
        "features",
        "wear",
        "--model",
        f"statistics:both:{limbs}",
        "--out",
        str(root / "processed"),
    ]
    run = CliRunner().invoke(app, [*words, "--stream", "imu"])
    assert run.exit_code == 0, run.output
    folder = root / "processed" / "combined_features" / CLIP / "mae"
    assert sorted(p.name for p in folder.iterdir()) == ["sbj_0.npy", "sbj_7.npy"]
    values = np.load(folder / "sbj_7.npy")
    assert len(values) == 18
    stored = np.load(root / "processed" / "i3d_features" / CLIP / "sbj_7.npy")
    np.testing.assert_array_equal(values[:, -2048:], stored.astype(np.float32))
    run = CliRunner().invoke(app, [*words, "--stream", "imu"])
    assert "0 computed, 2 kept" in run.output


class Windows(Flat):
    """Gives every window itself, channel by channel, in g, as WEAR's inertial features are."""

    def embed(self, batch):
        return (
            torch.nan_to_num(batch.streams["imu"].values / G, nan=-1.0).transpose(1, 2).flatten(1)
        )


def test_windows_equal_the_golden_features(tmp_path):
    folder = SHARED / "golden" / "tal_common" / "windows"
    if not folder.is_dir():
        pytest.skip("the golden windows are not at hand")
    stored = load_file(folder / "io.safetensors")
    raw = tmp_path / "raw" / "inertial"
    raw.mkdir(parents=True)
    people = {name: {"annotations": []} for name in ("sbj_0", "sbj_1")}
    write_json(tmp_path / "annotations" / "wear_split_1.json", {"database": people})
    for name in people:
        (raw / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    recordings = list(wear.recordings(wear.Config(root=tmp_path)))
    settings = Config(clip="60_frames_30_stride", video="", name="raw")
    model = Model("windows", Windows().eval())
    found = write_feature_tree(model, memory_part(recordings), tmp_path / "out", settings)
    for name in people:
        ours = np.load(found.folders[0] / f"{name}.npy")
        theirs = stored[f"inertial.{name}"]
        assert ours.shape == theirs.shape
        known = theirs != -1.0  # the publishers' word for missing; batches bridge such samples
        assert known.mean() > 0.99
        np.testing.assert_allclose(ours[known], theirs[known], rtol=2e-6, atol=2e-6)
