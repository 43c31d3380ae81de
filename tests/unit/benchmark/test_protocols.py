"""What the protocols within one data set do."""

import numpy as np
import pytest
from tests.support.benchmark_data import arena_of
from tests.support.tasks_data import make_part, toy_model, trained_on

from otolith.benchmark import (
    Cell,
    Unit,
    anomaly,
    calibration,
    cross_subject,
    few_labels,
    few_shot,
    robustness,
)
from otolith.benchmark._label_rates import draw_shots
from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError

UNIT = Unit(data="toy", fold=0, seed=0)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 6, name="toy")


@pytest.fixture(scope="module")
def arena(part):
    return arena_of(part)


def total(tally):
    return sum(n for own in tally.people.values() for *_, n in own)


def cell(outcome, fold=0, seed=0, protocol="calibration"):
    return Cell(
        key="k", protocol=protocol, model="m", data="toy", fold=fold, seed=seed, outcome=outcome,
        seconds=1.0, device="cpu", versions={}, settings={},
    )  # fmt: skip


def test_cross_subject_cuts_as_whar_arena_does():
    windows = cross_subject.Config().windows
    assert (windows.window_s, windows.stride_s) == (3.0, 1.5)
    assert cross_subject.Config().groups == 10
    assert cross_subject.Config().validation_share == 0.2


def test_choosing_classes_keeps_the_lengths_of_cross_subject():
    chosen = parse(cross_subject.Config, {"windows": {"labels": {"toy": ["a", "b"]}}}).windows
    assert (chosen.window_s, chosen.stride_s) == (3.0, 1.5)
    assert chosen.for_data("toy").labels == ("a", "b")
    other = parse(cross_subject.Config, {"windows": {"window_s": 2.0, "stride_s": None}}).windows
    assert (other.window_s, other.stride_s) == (2.0, None)


def test_cross_subject_tests_one_group(part):
    arena = arena_of(part, window_s=3.0, stride_s=1.5)
    outcome = cross_subject.run(arena, UNIT, cross_subject.Config(groups=6))
    tally = outcome.tallies["all labels"]
    assert len(tally.people) == 1
    assert total(tally) == 39
    assert outcome.counts["learned"] == 5 * 39
    assert outcome.num_parameters > 3
    assert outcome.numbers == {"strength": 1.0}


def test_few_shot_learns_from_k_windows_per_class(arena):
    outcome = few_shot.run(arena, UNIT, few_shot.Config(shots=(1, 3)))
    assert outcome.counts == {"learned: 1 per class": 3, "learned: 3 per class": 9}
    assert list(outcome.tallies) == ["1 per class", "3 per class"]


def test_shots_are_spread_over_people(arena):
    labelled = arena.data["toy"].labelled
    rows = draw_shots(labelled, np.arange(len(labelled.label_N)), 6, 0)
    assert np.bincount(labelled.label_N[rows]).tolist() == [6, 6, 6]
    for label in range(3):
        assert len(set(labelled.subject_N[rows[labelled.label_N[rows] == label]])) == 6


def test_a_class_with_few_windows_gives_all_it_has(arena):
    labelled = arena.data["toy"].labelled
    rows = np.flatnonzero(labelled.subject_N == "p0")
    assert len(draw_shots(labelled, rows, 100, 0)) == len(rows)
    outcome = few_shot.run(arena, UNIT, few_shot.Config(shots=(30,)))
    assert any("fewer than 30 windows of" in note for note in outcome.notes)


def test_few_labels_learns_from_a_share(arena):
    outcome = few_labels.run(arena, UNIT, few_labels.Config(shares=(0.01, 0.5)))
    counts = outcome.counts
    assert counts["learned: 1 % of labels"] == 6, "one window per class of each side"
    assert counts["learned: 50 % of labels"] == 24


def test_robustness_reports_every_change_beside_unchanged(arena):
    settings = robustness.Config(rates_hz=(10.0, 200.0), groups=2)
    outcome = robustness.run(arena, UNIT, settings)
    assert next(iter(outcome.tallies)) == "unchanged"
    assert {"mounting", "10 Hz", "200 Hz", "no gyroscope", "noise", "mirrored"} <= set(
        outcome.tallies
    )
    assert len({total(t) for t in outcome.tallies.values()}) == 1


def test_gravity_features_do_not_feel_how_a_sensor_is_mounted(part):
    outcome = robustness.run(
        arena_of(part, model="statistics_lr:gravity"),
        UNIT,
        robustness.Config(rates_hz=(), groups=2),
    )
    assert outcome.tallies["mounting"] == outcome.tallies["unchanged"]


def test_calibration_divides_people_three_ways(arena):
    outcome = calibration.run(arena, UNIT, calibration.Config(groups=3))
    assert outcome.counts["learned"] + outcome.counts["calibrated"] == 4 * 12
    assert outcome.counts["calibrated"] == 12
    found = calibration.measure([cell(outcome)])
    for variant in ("as given", "temperature"):
        numbers = found[variant]
        assert 0 <= numbers["ece"].value <= 1
        assert 0.5 <= numbers["coverage"].value <= 1
        assert numbers["set_size"].value + numbers["empty_sets"].value >= 1 - 1e-9
        assert numbers["coverage"].num_units == 2
    rows = calibration.tables([cell(outcome)])["as given"]
    assert sum(row["windows"] for row in rows) == 24


def test_calibration_adds_people_over_cells(arena):
    cells = [
        cell(calibration.run(arena, Unit(data="toy", fold=f, seed=0), calibration.Config(groups=3)))
        for f in range(3)
    ]
    assert calibration.measure(cells)["as given"]["ece"].num_units == 6
    assert calibration.added(cells, "as given: sets")[:, 0].tolist() == [12.0] * 6


def test_calibration_needs_three_people(tmp_path):
    arena = arena_of(make_part(tmp_path, 2, name="toy"))
    with pytest.raises(DataError, match="too few people"):
        calibration.run(arena, UNIT, calibration.Config())


def test_each_class_is_unseen_in_turn(arena):
    outcome = anomaly.run(arena, UNIT, anomaly.Config())
    cases = {name.partition(": ")[2] for name in outcome.sums}
    assert cases == {"standing", "walking", "running"}
    found = anomaly.measure([cell(outcome, protocol="anomaly")])
    assert found["distance"]["auroc"].value > 0.95
    assert set(found) == {"distance", "confidence"}


def test_falls_are_anomalies_by_nature(tmp_path):
    card = {"label_groups": {"running": "falling_forward"}}
    arena = arena_of(make_part(tmp_path, 4, name="toy", card=card))
    data = arena.data["toy"]
    assert list(anomaly.unseen_sets(data, anomaly.Config())) == ["unseen"]
    assert anomaly.unseen_sets(data, anomaly.Config())["unseen"].tolist() == [2]
    chosen = anomaly.Config(unseen={"toy": ("standing",)})
    assert anomaly.unseen_sets(data, chosen)["unseen"].tolist() == [0]
    outcome = anomaly.run(arena, UNIT, anomaly.Config())
    assert "Unseen in toy: running." in outcome.notes


def test_wrong_unseen_labels_are_refused(arena):
    with pytest.raises(ConfigError, match='no label "runing"') as caught:
        anomaly.units(arena.data, anomaly.Config(unseen={"toy": ("runing",)}), (0,))
    assert "running" in caught.value.remedy
    with pytest.raises(ConfigError, match='names "other"'):
        anomaly.units(arena.data, anomaly.Config(unseen={"other": ("x",)}), (0,))


def test_something_must_stay_normal(arena):
    settings = anomaly.Config(unseen={"toy": ("running", "walking")})
    with pytest.raises(DataError, match="fewer than two are normal"):
        anomaly.run(arena, UNIT, settings)


def test_few_shot_counts_what_words_say(tmp_path):
    """Words that fit lift a single window per class; they can be left away."""
    arena = arena_of(make_part(tmp_path, 4, name="toy"), model=toy_model())
    both = few_shot.run(arena, UNIT, few_shot.Config(shots=(1,)))
    assert set(both.tallies) == {"1 per class", "1 per class, with words"}
    triples = [t for own in both.tallies["1 per class, with words"].people.values() for t in own]
    assert all(truth == chosen for truth, chosen, _ in triples)
    plain = few_shot.Config(shots=(1,), with_words=False)
    assert set(few_shot.run(arena, UNIT, plain).tallies) == {"1 per class"}


@pytest.mark.parametrize("module", [cross_subject, few_shot, few_labels, anomaly, robustness])
def test_a_group_that_the_model_has_seen_is_not_tested(part, module):
    arena = arena_of(part, model=toy_model(trained_on(toy=["p0", "p1"])))
    settings = module.Config(groups=6)
    for unit in module.units(arena.data, settings, (0,)):
        outcome = module.run(arena, unit, settings)
        people = {p for t in outcome.tallies.values() for p in t.people}
        people |= {p for s in outcome.sums.values() for p in s}
        assert not people & {"p0", "p1"}
