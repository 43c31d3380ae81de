"""Batches hold the right rows, zero and masked where nothing is real."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.support.windows_data import SIX, features, imu, part_of, recording, toy_parts

from otolith.core.errors import DataError
from otolith.core.randomness import sample_keys
from otolith.recordings import Annotation
from otolith.windows.dataset import BatchRequest, WindowDataset
from otolith.windows.table import WindowSpec


def all_of(dataset, epoch=0):
    return dataset.batch(np.arange(len(dataset)), epoch)


def test_rows_are_those_of_the_recording():
    parts = toy_parts()
    dataset = WindowDataset(parts, WindowSpec(window_s=3.0))
    batch = all_of(dataset)
    stream = batch.streams["imu"]
    for i, name in enumerate(batch.names):
        data, rest = name.split("/")
        recording_id, start_s = rest.split("@")
        part = parts[0] if data == "toy" else parts[1]
        source = part.folder.recording(recording_id).streams["imu"]
        first = round(float(start_s) * source.rate_hz)
        count = int(3.0 * source.rate_hz)
        width = len(source.channels)
        np.testing.assert_array_equal(
            stream.values[i, :count, :width], source.samples_TC[first : first + count]
        )
        assert stream.mask_BT[i].sum() == count
        assert stream.channels[i] == source.channels
        assert stream.rate_hz_B[i] == source.rate_hz
        assert stream.start_s_B[i] == float(start_s)


def test_padding_is_zero_and_masked():
    stream = all_of(WindowDataset(toy_parts(), WindowSpec(window_s=3.0))).streams["imu"]
    real = stream.mask_BT[:, :, None] & stream.channel_mask_BC[:, None, :]
    assert (~real).any()
    assert (stream.values[~real] == 0).all()
    widths = stream.channel_mask_BC.sum(1).tolist()
    assert widths == [len(c) for c in stream.channels]
    assert set(widths) == {3, 6}


def test_keys_ids_and_names_of_data_sets():
    dataset = WindowDataset(toy_parts(), WindowSpec(window_s=3.0), seed=5)
    batch = dataset.batch(np.asarray([4, 1]), 7)
    np.testing.assert_array_equal(batch.keys_B, sample_keys(5, 7, [4, 1]))
    assert batch.ids.tolist() == [4, 1]
    assert batch.datasets == ("toy", "toy")
    assert len(batch) == 2


def test_a_selection_keeps_ids_keys_and_targets():
    dataset = WindowDataset(toy_parts(), WindowSpec(window_s=3.0, targets=("label", "intervals")))
    chosen = np.flatnonzero(dataset.table.label == 1)
    some = dataset.select(dataset.table.label == 1)
    small, full = all_of(some), dataset.batch(chosen, 0)
    np.testing.assert_array_equal(small.keys_B, full.keys_B)
    assert torch.equal(small.streams["imu"].values, full.streams["imu"].values)
    assert torch.equal(small.targets["intervals"].values, full.targets["intervals"].values)
    assert len(dataset) > len(some)


def test_a_missing_stream_is_masked_and_has_a_usable_rate():
    recordings = [
        recording("a", imu(400, name="wrist"), imu(200, 25.0, name="waist")),
        recording("b", imu(400, name="wrist")),
    ]
    spec = WindowSpec(window_s=2.0, label_rule="none", streams=("wrist", "waist"))
    batch = all_of(WindowDataset([part_of(recordings)], spec))
    waist = batch.streams["waist"]
    assert waist.mask_BT.any(1).tolist() == [True] * 4 + [False] * 4
    assert waist.channels[4:] == ((),) * 4
    assert not waist.channel_mask_BC[4:].any()
    assert (waist.values[4:] == 0).all()
    assert set(waist.rate_hz_B.tolist()) == {25.0}
    only = WindowDataset([part_of(recordings)], spec).batch(np.asarray([5]), 0).streams["waist"]
    assert only.values.shape == (1, 1, 6)


def test_feature_rows_start_at_their_own_time():
    clip = features(40, window_s=1.0, stride_s=0.5)
    spec = WindowSpec(window_s=2.0, label_rule="none", streams=("imu", "clip"))
    batch = all_of(WindowDataset([part_of([recording("a", imu(1000), clip)])], spec))
    stream = batch.streams["clip"]
    assert stream.channel_mask_BC is None
    assert (stream.start_s_B == stream.values[:, 0, 0] * 0.5).all()
    assert (stream.rate_hz_B == 2.0).all()


def test_missing_values_are_held_or_masked():
    source = imu(100)
    samples = source.samples_TC.copy()
    samples[0:3, 0] = np.nan
    samples[10, 0] = np.nan
    samples[20:25] = np.nan
    samples[:, 5] = np.nan
    spec = WindowSpec(window_s=2.0, label_rule="none")
    part = part_of([recording("a", replace(source, samples_TC=samples))])
    stream = all_of(WindowDataset([part], spec)).streams["imu"]
    x = stream.values[0].numpy()
    assert np.isfinite(x).all()
    assert (x[0:3, 0] == samples[3, 0]).all()
    assert x[10, 0] == samples[9, 0]
    assert stream.mask_BT[0].logical_not().nonzero().flatten().tolist() == [20, 21, 22, 23, 24]
    assert (x[20:25] == 0).all()
    assert stream.channel_mask_BC[0].tolist() == [True] * 5 + [False]
    assert (x[:, 5] == 0).all()
    untouched = np.isfinite(samples)
    np.testing.assert_array_equal(x[untouched], samples[untouched])


def test_chosen_channels():
    spec = WindowSpec(window_s=2.0, label_rule="none", channels=("*_z", "gyro_x"))
    source = imu(100)
    stream = all_of(WindowDataset([part_of([recording("a", source)])], spec)).streams["imu"]
    assert [c.name for c in stream.channels[0]] == ["acc_z", "gyro_x", "gyro_z"]
    np.testing.assert_array_equal(stream.values[0].numpy(), source.samples_TC[:, [2, 3, 5]])


def test_whole_recordings_of_different_length():
    recordings = [recording("a", imu(77)), recording("b", imu(130, channels=SIX[:3]))]
    spec = WindowSpec(whole=True, label_rule="none")
    stream = all_of(WindowDataset([part_of(recordings)], spec)).streams["imu"]
    assert stream.values.shape == (2, 130, 6)
    assert stream.mask_BT.sum(1).tolist() == [77, 130]


def test_targets_of_every_kind():
    notes = [
        Annotation(start_s=0.0, end_s=3.0, labels=("walk", "talk")),
        Annotation(start_s=2.5, end_s=6.0, labels=("sit",)),
        Annotation(start_s=1.0, end_s=None, text="C opens a door", track="narration"),
        Annotation(start_s=3.5, end_s=4.5, text="C sits down", track="narration"),
        Annotation(start_s=0.5, end_s=1.0, verb="open", noun="door", track="action"),
        Annotation(start_s=1.0, end_s=3.0, verb="close", noun="door", track="action"),
    ]
    part = part_of([recording("a", imu(300), annotations=notes)], labels=("walk", "talk", "sit"))
    spec = WindowSpec(
        window_s=2.0, targets=("label", "multi_label", "intervals", "verb_noun", "text")
    )
    dataset = WindowDataset([part], spec)
    batch = all_of(dataset)
    assert batch.targets["label"].tolist() == [0, 2, 2]
    assert batch.targets["multi_label"].tolist() == [[1, 1, 0], [1, 1, 1], [0, 0, 1]]
    intervals = batch.targets["intervals"]
    assert intervals.lengths_B.tolist() == [2, 3, 1]
    assert intervals[0].tolist() == [[0, 2], [0, 2]]
    assert intervals[1].tolist() == [[2, 3], [2, 3], [2.5, 4]]
    assert intervals.values.dtype == torch.float64
    assert batch.targets["interval_labels"][1].tolist() == [0, 1, 2]
    assert dataset.verbs == ("close", "open")
    assert batch.targets["verb"].tolist() == [0, 0, -1]
    assert batch.targets["noun"].tolist() == [0, 0, -1]
    assert batch.texts["text"] == (("C opens a door",), ("C sits down",), ("C sits down",))
    assert batch.texts["label"] == (("walk",), ("sit",), ("sit",))


def test_given_verbs_fix_the_numbers_and_a_track_limits_texts():
    notes = [
        Annotation(start_s=0, end_s=2, verb="open", noun="door", text="a", track="one"),
        Annotation(start_s=0, end_s=1, verb="wash", noun="cup", text="b", track="two"),
    ]
    part = part_of([recording("a", imu(100), annotations=notes)])
    spec = WindowSpec(
        window_s=2.0,
        label_rule="none",
        targets=("verb_noun", "text"),
        verbs=("cut", "wash", "open"),
        text_track="two",
    )
    batch = all_of(WindowDataset([part], spec))
    assert batch.targets["verb"].tolist() == [1]
    assert batch.texts["text"] == (("b",),)
    assert "label" not in batch.targets


def test_pretraining_batches_carry_no_annotations():
    notes = [Annotation(start_s=0, end_s=2, labels=("walk",), text="secret")]
    part = part_of([recording("a", imu(100), annotations=notes)], is_pretrain=True)
    spec = WindowSpec(window_s=2.0, targets=("label", "intervals", "text"))
    batch = all_of(WindowDataset([part], spec))
    assert batch.targets["label"].tolist() == [-1]
    assert len(batch.targets["intervals"].values) == 0
    assert batch.texts["text"] == ((),)


def test_one_name_for_two_kinds_is_refused():
    recordings = [recording("a", imu(400, name="x")), recording("b", features(40, name="x"))]
    with pytest.raises(DataError, match='"x" is motion in one recording and not in another'):
        WindowDataset([part_of(recordings)], WindowSpec(window_s=2.0, label_rule="none"))


def test_a_stream_that_no_window_holds_is_refused():
    recordings = [recording("a", imu(400), features(3, offset_s=20.0))]
    spec = WindowSpec(window_s=2.0, label_rule="none", streams=("imu", "clip"), overlap="any")
    WindowDataset([part_of(recordings)], spec)
    short = replace(spec, min_measured=0.5)
    gone = [recording("a", imu(400), features(0))]
    with pytest.raises(DataError, match='No window holds the stream "clip"'):
        WindowDataset([part_of(gone)], short)


def test_the_transform_is_applied_and_can_be_exchanged():
    def marked(batch):
        return replace(batch, texts={"mark": tuple(("x",) for _ in batch.names)})

    dataset = WindowDataset(toy_parts(), WindowSpec(window_s=3.0), transform=marked)
    assert dataset[0].texts["mark"] == (("x",),)
    assert "mark" not in dataset.with_transform(None)[0].texts


def test_requests_carry_the_epoch_and_the_data_set_can_travel():
    dataset = WindowDataset(toy_parts(), WindowSpec(window_s=3.0))
    batch = dataset.__getitems__(BatchRequest(epoch=3, ids=np.asarray([2])))
    np.testing.assert_array_equal(batch.keys_B, sample_keys(0, 3, [2]))
    again = pickle.loads(pickle.dumps(dataset)).batch(np.asarray([2]), 3)  # noqa: S301
    assert torch.equal(again.streams["imu"].values, batch.streams["imu"].values)
