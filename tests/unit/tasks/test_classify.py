"""Classify: a trained classifier tested as it is, on recordings it has not seen."""

import numpy as np
import pytest
from tests.support.tasks_data import ToyClassifier, ToyConfig, make_part, statistics

from otolith.core.errors import CheckpointError, ConfigError, DataError, LeakageError
from otolith.tasks._model import Model
from otolith.tasks.classify import Config, evaluate
from otolith.windows.spec import WindowSpec

SPEC = WindowSpec(window_s=5.0, separate=True)
SPLITS = {
    "official": {"train": ["p0", "p1"], "test": ["p2"], "by": "subject"},
    "other": {"train": ["r0"], "test": ["r1", "r2"], "by": "recording"},
}


def model(provenance=None):
    return Model("toy", ToyClassifier(ToyConfig()).eval(), provenance or {}, system_name="toy")


def trained(*recordings, people=()):
    data = {"recordings": [f"toy/{r}" for r in recordings]}
    return {"data": {**data, "datasets": {"toy": {"train_subjects": list(people)}}}}


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 3, splits=SPLITS)


def test_only_the_wanted_part_is_tested(part):
    found = evaluate(model(), part, Config(windows=SPEC))
    assert found.counts["test_subjects"] == 1
    assert found.counts["test_windows"] == 12
    assert found.accuracy == found.extra["top1"] > 0.9
    assert found.extra["top5"] == 1.0
    assert found.extra["mean_roc_auc"] > 0.9
    assert 0 < found.extra["cross_entropy"] < np.log(3)
    assert "part test" in found.protocol
    both = evaluate(model(), part, Config(windows=SPEC, division="other"))
    assert both.counts["test_subjects"] == 2
    assert evaluate(model(), part, Config(windows=SPEC, split="all")).counts["test_windows"] == 36


def test_what_was_trained_on_is_refused(part):
    by_person, by_take = Config(windows=SPEC), Config(windows=SPEC, division="other")
    known = model(trained("r0", "r1", people=["p0", "p2"]))
    with pytest.raises(LeakageError, match="part of the training"):
        evaluate(known, part, by_person)
    with pytest.raises(LeakageError, match="1 "):
        evaluate(known, part, by_take)
    shared = model(trained("r0", people=["p0", "p2"]))
    assert "1 of the people tested were in other" in evaluate(shared, part, by_take).warnings[0]
    assert not evaluate(model(trained("r0", people=["p0"])), part, by_take).warnings
    unknown = model({"data": {"datasets": {"toy": {"train_subjects": ["*"]}}}})
    assert "Nobody can check" in evaluate(unknown, part, by_take).warnings[-1]
    with pytest.raises(LeakageError):
        evaluate(unknown, part, by_person)


def test_models_without_classes_or_windows_say_what_to_do(part, tmp_path):
    with pytest.raises(CheckpointError, match="no classes") as caught:
        evaluate(statistics(), part, Config())
    assert "probe" in caught.value.remedy
    with pytest.raises(ConfigError, match="lies in no run"):
        evaluate(model(), part, Config())
    whole = make_part(tmp_path, 2, name="plain")
    with pytest.raises(DataError, match="has no split"):
        evaluate(model(), whole, Config(windows=SPEC))


def test_given_recordings_outside_the_part_are_named(part):
    from dataclasses import replace

    first = replace(part, recording_ids=("r0",))
    with pytest.raises(ConfigError, match="belongs to the part test"):
        evaluate(model(), first, Config(windows=SPEC))


def test_the_run_says_how_windows_were_cut(part, tmp_path):
    (tmp_path / "checkpoints" / "best").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("data: {window: {window_s: 10.0, separate: true}}\n")
    ready = Model("toy", model().system, {}, tmp_path / "checkpoints" / "best", "toy")
    assert evaluate(ready, part, Config()).counts["test_windows"] == 6


class Several(ToyClassifier):
    """Says every class whose bout fills much of the window, from the truth of a test."""

    def classify(self, batch):
        return super().classify(batch) + 0.5


def test_windows_with_several_classes_give_mean_average_precision(part):
    spec = WindowSpec(
        window_s=8.0,
        separate=True,
        label_rule="none",
        min_label_share=0.2,
        targets=("multi_label",),
    )
    several = Model("toy", Several(ToyConfig()).eval(), {}, system_name="toy")
    found = evaluate(several, part, Config(windows=spec, split="all"))
    # 60 s per person in windows of 8 s; the third and the sixth hold two classes of 20 s each
    assert found.counts["test_windows"] == 21
    assert found.counts["windows_without_class"] == 0
    assert sum(row["support"] for row in found.per_class) == 3 * 8
    assert found.accuracy == found.extra["top1"] > 0.9
    assert found.extra["mean_average_precision"] > 0.9
    low, high = found.ci95["mean_average_precision"]
    assert low <= found.extra["mean_average_precision"] <= high
    assert set(found.ci95) == {"accuracy", "macro_f1", "mean_average_precision"}
    assert found.extra["binary_cross_entropy"] > 0
    shown = f"3 of 3 classes that occur, {found.extra['mean_average_precision']:.3f} ["
    assert shown in found.protocol
    assert [len(row) for row in found.confusion] == [3, 3, 3]
    one = evaluate(several, part, Config(windows=spec))
    assert one.counts["test_subjects"] == 1
    assert one.ci95["mean_average_precision"] is None
    with pytest.raises(LeakageError):
        evaluate(
            Model("toy", several.system, trained("r2", people=["p2"]), system_name="toy"),
            part,
            Config(windows=spec),
        )


def test_windows_without_any_class_are_counted_or_refused(tmp_path):
    many = make_part(tmp_path, {"p0": ("walking", "sitting"), "p1": ("running", "lying")}, name="m")
    spec = WindowSpec(window_s=5.0, separate=True, label_rule="none", targets=("multi_label",))
    found = evaluate(model(), many, Config(windows=spec, split="all"))
    assert found.counts["windows_without_class"] == 8
    assert found.counts["windows"] == 8
    assert "2 of 3 classes" in found.protocol
    none = make_part(tmp_path, {"p0": ("sitting", "lying")}, name="n")
    with pytest.raises(DataError, match="None of the 8 windows") as caught:
        evaluate(model(), none, Config(windows=spec, split="all"))
    assert "standing" in caught.value.remedy
