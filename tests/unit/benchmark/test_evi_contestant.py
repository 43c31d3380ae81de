"""The contestant that pretrains on unlabelled windows: what it reads, shares and adds up."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from tests.fixtures.official_layouts import still_and_moving, write_utd_mhad
from tests.fixtures.official_layouts_evi import write_video
from tests.support.benchmark_data import arena_of

from otolith.benchmark import Unit, few_labels
from otolith.benchmark._settings import Learning
from otolith.benchmark.contestants import evi_mae as contestant_file
from otolith.benchmark.contestants._modality import parse_plan
from otolith.benchmark.contestants._training import Trainer
from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.datasets import make_dataset, prepare

OWN = {
    "system": {
        "encoder": {
            "imu": {"signals": {"num_frames": 32, "num_bins": 8}, "patch": [8, 16], "width": 16,
                    "depth": 1, "num_heads": 2},
            "video": {"num_frames": 4, "size_px": 16, "tubelet": [2, 8, 8], "width": 16,
                      "depth": 1, "num_heads": 2},
            "graph": {"width": 8, "self_weight": 0.5},
            "num_heads": 2,
        },
        "decoder": {"width": 8, "depth": 1, "num_heads": 2, "num_channels": 6},
        "masking": {"imu_ratio": 0.5, "video_ratio": 0.5},
    },
    "pretraining": {"epochs": 1, "batch_size": 8},
    "tuning": {"epochs": 2, "batch_size": 8},
}  # fmt: skip
QUICK = Learning(strengths=(0.1,), contestants={"evi_mae": OWN}, device="cpu")
WINDOWS = {
    "whole": True, "joint": True, "streams": {"utd_mhad": ("imu", "camera")},
    "video_size_px": (24, 24),
}  # fmt: skip
PEOPLE, ACTIONS = (1, 2, 3, 4), (1, 2)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """Four people, two actions, two trials of different length."""
    root = tmp_path_factory.mktemp("utd")
    rng = np.random.default_rng(0)
    for person, action, trial in product(PEOPLE, ACTIONS, (1, 2)):
        matrix = np.concatenate(still_and_moving(rng, 120 + 10 * trial, spin=90.0 * action), axis=1)
        matrix[:, 0] *= action
        path = write_utd_mhad(root, action, person, trial, matrix)
        name = path.name.replace("_inertial.mat", ".mp4")
        write_video(root / "videos" / name, seconds=2.4, size=24, seed=action)
    prepare("utd_mhad", root, root / "data", progress=False, videos=root / "videos")
    return make_dataset(root / "data")


def arena(part, argument):
    return arena_of(part, model=f"evi_mae:{argument}", learning=QUICK, **WINDOWS)


def lesson_of(arena, unlabelled=(1, 2, 3)):
    people = arena.data["utd_mhad"].labelled.subject_N
    rows = [np.flatnonzero(people == str(p)) for p in PEOPLE]
    seen = np.flatnonzero(np.isin(people, [str(p) for p in unlabelled]))
    return arena.lesson("utd_mhad", np.union1d(rows[0], rows[1]), rows[2], seen), rows[3]


@pytest.fixture(autouse=True)
def nothing_learned_before():
    contestant_file._READ_BEFORE.clear()


@pytest.mark.parametrize(
    "argument",
    ["imu-pretrained-probe", "video-scratch-tuned", "fused-pretrained-tuned", "late-scratch-probe"],
)
def test_every_kind_learns_and_repeats(part, argument):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    found = []
    for _ in range(2):
        contestant_file._READ_BEFORE.clear()
        own = arena(part, argument)
        lesson, test = lesson_of(own)
        fitted = own.contestant.fit([lesson], 2, 0)
        found.append(fitted.scores(lesson.inputs, test))
        assert fitted.features(lesson.inputs, test).shape[0] == len(test)
        assert fitted.num_parameters > 1000
    assert torch.equal(torch.rand(2), expected), "draws of others are left alone"
    assert np.array_equal(*found)
    np.testing.assert_allclose(found[0].sum(1), 1.0)


def test_pretraining_reads_no_label_and_no_test_person(part, monkeypatch):
    read = []
    real = contestant_file._fetch

    def spy(clips, rows, epoch, seed):
        read.extend(rows.tolist())
        return real(clips, rows, epoch, seed)

    own = arena(part, "imu-pretrained-probe")
    lesson, test = lesson_of(own)
    monkeypatch.setattr(contestant_file, "_fetch", spy)
    first = own.contestant._pretrained(lesson, 0)
    assert set(read) == set(lesson.unlabelled.tolist())
    assert not set(read) & set(test.tolist())
    lesson.inputs.pretrained.clear()
    other = replace(lesson, label_N=lesson.label_N[::-1].copy())
    second = own.contestant._pretrained(other, 0)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_pretraining_is_the_same_whoever_needs_it_first(part):
    found = []
    for argument in ("imu-pretrained-probe", "video-pretrained-tuned"):
        contestant_file._READ_BEFORE.clear()
        own = arena(part, argument)
        lesson, _ = lesson_of(own)
        own.contestant.fit([lesson], 2, 0)
        found.append(next(iter(lesson.inputs.pretrained.values())))
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_one_pretraining_serves_all_contestants(part, monkeypatch):
    epochs = []
    real = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda self: (epochs.append(self.model), real(self))[1])
    shared = None
    for argument in ("imu-pretrained-probe", "video-pretrained-probe", "late-pretrained-probe"):
        own = arena(part, argument)
        if shared is not None:
            own.data["utd_mhad"].labelled.__dict__["windows"] = shared
        shared = own.data["utd_mhad"].labelled.windows
        lesson, _ = lesson_of(own)
        own.contestant.fit([lesson], 2, 0)
    assert len(epochs) == 1


def test_late_fusion_multiplies_both_modalities(part):
    scores = {}
    for what in ("imu", "video", "late"):
        own = arena(part, f"{what}-scratch-probe")
        lesson, test = lesson_of(own)
        scores[what] = own.contestant.fit([lesson], 2, 0).scores(lesson.inputs, test)
    product_NK = scores["imu"] * scores["video"]
    want = product_NK / product_NK.sum(1, keepdims=True)
    np.testing.assert_allclose(scores["late"], want, rtol=1e-6)


def test_the_protocol_gives_windows_without_labels(part):
    own = arena(part, "fused-pretrained-probe")
    settings = parse(
        few_labels.Config, {"groups": 4, "shares": [0.5], "learning": QUICK}, source="test"
    )
    given = []
    real = own.contestant.fit
    own.contestant.fit = lambda lessons, *rest: (given.extend(lessons), real(lessons, *rest))[1]
    unit = Unit(data="utd_mhad", fold=0, seed=0)
    outcome = few_labels.run(own, unit, settings)
    (lesson,) = given
    labelled = own.data["utd_mhad"].labelled
    tested = set(outcome.tallies["50 % of labels"].people)
    assert len(tested) == 1
    assert not tested & set(labelled.subject_N[lesson.unlabelled])
    assert len(np.unique(labelled.subject_N[lesson.unlabelled])) == 3
    assert len(lesson.unlabelled) > len(lesson.train) + len(lesson.validation)


@pytest.mark.parametrize(
    "argument", ["imu", "imu-pretrained", "imu-new-probe", "sound-scratch-probe"]
)
def test_a_plan_must_be_complete(argument):
    with pytest.raises(ConfigError, match="evi_mae"):
        parse_plan("evi_mae", argument)


def test_a_plan_is_read():
    plan = parse_plan("evi_mae", "late-scratch-tuned")
    assert (plan.what, plan.start, plan.way) == ("late", "scratch", "tuned")
    assert plan.alone == ("imu", "video")


def test_it_learns_from_one_data_set(part):
    own = arena(part, "imu-scratch-probe")
    lesson, _ = lesson_of(own)
    with pytest.raises(DataError, match="one data set"):
        own.contestant.fit([lesson, lesson], 2, 0)
