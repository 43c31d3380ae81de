"""Labels as words, and the refusal to call anything zero-shot that is not."""

import pytest
from tests.support.tasks_data import make_part, statistics, toy_model, trained_on

from otolith.core.errors import CheckpointError, LeakageError
from otolith.tasks import zero_shot
from otolith.tasks._windows import EvaluationWindows


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 3)


def test_the_closed_set_is_matched_exactly(part):
    result = zero_shot.evaluate(toy_model(trained_on(other=["x"])), part, zero_shot.Config())
    assert result.accuracy == 1.0
    assert result.warnings == ()
    assert "closed set of 3 labels" in result.protocol


def test_the_open_set_is_compared_by_synonyms(part):
    words = ("standing", "walking", "jogging", "lying")
    settings = zero_shot.Config(open_set=True, candidates=words)
    result = zero_shot.evaluate(toy_model(trained_on(other=["x"])), part, settings)
    assert result.accuracy == 1.0
    assert result.labels == ("standing", "walking", "running")


def test_choices_outside_the_truth_count_as_wrong(part):
    settings = zero_shot.Config(open_set=True, candidates=("walking", "lying"))
    result = zero_shot.evaluate(toy_model(trained_on(other=["x"])), part, settings)
    confusion = dict(zip(result.labels, result.confusion, strict=True))
    assert confusion["walking"] == [0, 12, 0]
    assert result.accuracy < 0.7


def test_other_words_can_stand_for_a_label(part):
    words = {"standing": "lying", "running": "jogging"}
    result = zero_shot.evaluate(
        toy_model(trained_on(other=["x"])), part, zero_shot.Config(texts=words)
    )
    recall = {row["label"]: row["recall"] for row in result.per_class}
    assert recall["running"] == 1.0
    assert recall["standing"] < 1.0


@pytest.mark.parametrize(
    "provenance",
    [
        trained_on(toy=["p0"]),
        {**trained_on(other=["x"]), "init_provenance": trained_on(toy=["p1"])},
    ],
)
def test_a_data_set_that_was_trained_on_is_refused(part, provenance):
    with pytest.raises(LeakageError, match="so this is not zero-shot"):
        zero_shot.evaluate(toy_model(provenance), part, zero_shot.Config())


def test_a_relative_named_by_the_card_is_refused(tmp_path):
    part = make_part(tmp_path, 2, name="copy", card={"same_people_as": ["hapt"]})
    with pytest.raises(LeakageError, match="all its people"):
        zero_shot.evaluate(toy_model(trained_on(hapt=["9"])), part, zero_shot.Config())


def test_unknown_origin_and_namesakes_are_warned_about(part):
    (warning,) = zero_shot.evaluate(toy_model(), part, zero_shot.Config()).warnings
    assert "do not say what they were trained on" in warning
    provenance = trained_on(other=["x"])
    provenance["data"]["recordings"] = ["other/r0", "other/r1", "other/r2"]
    (warning,) = zero_shot.evaluate(toy_model(provenance), part, zero_shot.Config()).warnings
    assert '"other"' in warning


def test_a_model_without_text_says_what_to_do(part):
    with pytest.raises(CheckpointError) as caught:
        zero_shot.evaluate(statistics(), part, zero_shot.Config())
    assert "probe" in caught.value.remedy


def test_labels_can_be_chosen(part):
    windows = EvaluationWindows(labels=("running", "walking"))
    result = zero_shot.evaluate(
        toy_model(trained_on(other=["x"])), part, zero_shot.Config(windows=windows)
    )
    assert result.labels == ("running", "walking")
    assert result.counts["windows"] == 24
