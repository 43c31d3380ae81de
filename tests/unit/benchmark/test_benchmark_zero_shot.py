"""Zero-shot: sources and target are other people, and what no source knows is an error."""

import numpy as np
import pytest
import torch
from tests.support.benchmark_data import arena_of, two_parts
from tests.support.tasks_data import ToyConfig, ToySystem, make_part, toy_model, trained_on

from otolith.benchmark import Unit, zero_shot
from otolith.core.errors import CheckpointError, LeakageError
from otolith.tasks._model import Model


def run(arena, name):
    return zero_shot.run(arena, Unit(data=name, fold=0, seed=0), zero_shot.Config())


def right(tally):
    """Share of right windows."""
    triples = [t for own in tally.people.values() for t in own]
    return sum(n for a, b, n in triples if a == b) / sum(n for _, _, n in triples)


def test_a_contestant_without_text_learns_the_other_data_sets(tmp_path):
    outcome = run(arena_of(*two_parts(tmp_path)), "toy_a")
    assert set(outcome.tallies) == {"closed", "closed, groups", "open, groups", "shared, groups"}
    assert right(outcome.tallies["closed"]) > 0.9
    assert any("bridged by group" in note for note in outcome.notes)
    assert "Sources know 3 of 3 labels of toy_a (100 % of its windows)." in outcome.notes
    assert outcome.counts["learned"] == 36


def test_labels_that_no_source_knows_stay_and_count_as_errors(tmp_path):
    target = make_part(tmp_path, 3, ("standing", "walking", "lying"), name="target")
    source = make_part(tmp_path, 3, ("standing", "walking"), name="source", rate_hz=25.0)
    outcome = run(arena_of(target, source), "target")
    closed = outcome.tallies["closed"]
    lying = closed.labels.index("lying")
    triples = [t for own in closed.people.values() for t in own]
    assert not any(chosen == lying for _, chosen, _ in triples)
    assert sum(n for truth, _, n in triples if truth == lying) == 12
    assert right(closed) <= 2 / 3
    assert outcome.tallies["shared, groups"].labels == ("standing", "walking")
    assert any("2 of 3 labels" in n and "unknown: lying" in n for n in outcome.notes)


def test_the_open_set_may_choose_what_the_target_lacks(tmp_path):
    target = make_part(tmp_path, 3, ("standing", "walking"), name="target")
    source = make_part(
        tmp_path, 3, ("standing", "walking", "lying", "running"), name="source", rate_hz=25.0
    )
    outcome = run(arena_of(target, source), "target")
    assert outcome.counts["candidates of the open set"] == 4
    assert outcome.tallies["open, groups"].labels == ("standing", "walking")


def test_synonyms_are_right_by_group_and_wrong_by_label(tmp_path):
    card = {"label_groups": {"running": "jogging", "walking": "jogging", "standing": "standing"}}
    target = make_part(tmp_path, 3, name="target", card=card)
    source = make_part(tmp_path, 3, ("standing", "running"), name="source", rate_hz=25.0)
    outcome = run(arena_of(target, source), "target")
    assert right(outcome.tallies["closed, groups"]) > right(outcome.tallies["closed"])


@pytest.mark.parametrize("card", [{"same_people_as": ["target"]}, {}])
def test_a_source_of_the_same_people_is_left_out(tmp_path, card):
    """Said by a card, or seen because the recordings are the same."""
    rate = 25.0 if card else 20.0
    parts = [
        make_part(tmp_path, 3, name="target"),
        make_part(tmp_path, 3, name="copy", card=card, rate_hz=rate),
        make_part(tmp_path, 3, name="source", rate_hz=30.0),
    ]
    outcome = run(arena_of(*parts), "target")
    assert outcome.counts["sources"] == 1
    assert any("Not among the sources of target" in note for note in outcome.notes)
    with pytest.raises(LeakageError, match="No source is left for target"):
        run(arena_of(*parts[:2]), "target")


def test_a_model_with_text_chooses_words(tmp_path):
    parts = two_parts(tmp_path)
    arena = arena_of(*parts, model=toy_model(trained_on(other=["x"])))
    outcome = run(arena, "toy_a")
    assert right(outcome.tallies["closed"]) == 1.0
    assert not any("bridged" in note for note in outcome.notes)


class _OwnProbabilities(ToySystem):
    """Cosines of this system say nothing; its own probabilities are those of the last word."""

    calls = 0

    def score_words(self, batch, words, *, temperature=0.05):
        type(self).calls += 1
        scores = torch.full((len(batch), len(words)), -9.0)
        scores[:, -1] = 0.0
        return scores


def test_probabilities_of_the_system_itself_count(tmp_path):
    system = _OwnProbabilities(ToyConfig()).eval()
    model = Model("own", system, trained_on(other=["x"]), system_name="toy_text")
    arena = arena_of(*two_parts(tmp_path), model=model)
    outcome = run(arena, "toy_a")
    closed = outcome.tallies["closed"]
    chosen = {c for own in closed.people.values() for _, c, _ in own}
    assert chosen == {len(closed.labels) - 1}
    before = _OwnProbabilities.calls
    run(arena, "toy_a")
    assert _OwnProbabilities.calls == before, "scored once for all seeds"


def test_words_need_a_model_with_text(tmp_path):
    with pytest.raises(CheckpointError, match="knows no text"):
        arena_of(*two_parts(tmp_path), model="scratch:imu_cnn_har").word_scores("toy_a", ["a"])


def test_a_model_that_has_seen_the_target_is_refused(tmp_path):
    parts = two_parts(tmp_path)
    arena = arena_of(*parts, model=toy_model(trained_on(toy_a=["p0"])))
    with pytest.raises(LeakageError, match="not zero-shot"):
        run(arena, "toy_a")
    assert run(arena, "toy_b").tallies


def test_other_words_may_stand_for_labels(tmp_path):
    parts = two_parts(tmp_path)
    arena = arena_of(*parts, model=toy_model(trained_on(other=["x"])))
    settings = zero_shot.Config(texts={"running": "lying", "standing": "running"})
    outcome = zero_shot.run(arena, Unit(data="toy_a", fold=0, seed=0), settings)
    assert right(outcome.tallies["closed"]) < 0.7


def test_nothing_is_chosen_where_nothing_can_be():
    scores = np.array([[-np.inf, -np.inf], [-np.inf, 0.2]])
    assert zero_shot._best(scores).tolist() == [-1, 1]
    assert zero_shot._mapped(np.array([-1, 1]), np.array([5, 7])).tolist() == [-1, 7]
