"""LIMU-BERT gives the authors' numbers with their weights, through the converter."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from otolith.cli.main import app
from otolith.systems._convert import import_official
from otolith.tasks._model import load_model
from tests.golden.harness import SHARED
from tests.support.limu_data import in_si, window_batch

FILES = SHARED / "reference" / "limu_bert"
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason="no official weights on this machine")
ATOL = {"atol": 2e-5, "rtol": 1e-5}
NAMES = ("uci", "hhar", "motion", "shoaib", "x")


def read(name):
    return load_file(FILES / f"{name}.safetensors")


def encoder_of(name):
    return import_official(FILES / f"encoder_{name}.safetensors", "")[0]


def classifier_of(name):
    settings = {"encoder": FILES / f"encoder_{name}.safetensors", "trained_on": name}
    return import_official(FILES / f"gru_{name}.safetensors", "limu_bert_gru", settings)[0]


def in_batches(function, windows):
    with torch.inference_mode():
        parts = [function(window_batch(in_si(part))) for part in windows.split(256)]
    return torch.cat(parts).numpy()


def percent(truth, chosen):
    scores = accuracy_score(truth, chosen), f1_score(truth, chosen, average="macro")
    return tuple(round(100 * score, 1) for score in scores)


@pytest.mark.parametrize("name", ["x", "shoaib"])
def test_step_embeddings_equal_the_stored_ones(name):
    expected = read("expected")[f"wisdm10_{name}_first8"].reshape(8, 120, 72)
    batch = window_batch(in_si(read("wisdm10_20hz")["windows"][:8]))
    with torch.inference_mode():
        found = encoder_of(name).tokens(batch).features_BND
    torch.testing.assert_close(found, expected, **ATOL)


def test_logits_of_the_head_equal_the_stored_ones():
    expected = read("expected")["wisdm10_shoaib_gru_logits_first8"]
    system = classifier_of("shoaib")
    with torch.inference_mode():
        tokens = system.base.tokens(window_batch(in_si(read("wisdm10_20hz")["windows"][:8])))
        found, steps = system.head.pieces(tokens.features_BND, tokens.mask_BN)
    torch.testing.assert_close(found, expected, **ATOL)
    assert steps.eq(20).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_command_converts_and_gives_the_same_weights_back(name, tmp_path):
    source, folder, back = FILES / f"encoder_{name}.safetensors", tmp_path / "m", tmp_path / "b"
    for arguments in ([source, folder, "--system", "limu_bert"], [folder, f"{back}.safetensors"]):
        result = CliRunner().invoke(app, ["checkpoint", "convert", *map(str, arguments)])
        assert result.exit_code == 0, result.output
    official, own = load_file(source), load_file(f"{back}.safetensors")
    assert set(own) == set(official)
    unused = {"fc.weight", "fc.bias"}
    assert all(torch.equal(own[key], official[key]) for key in set(official) - unused)
    assert load_model(folder).system_name == "limu_bert"


def test_uci_har_in_domain():
    """Row "UCI-HAR test part, in-domain encoder+GRU": 74.2 / 71.8."""
    data = read("ucihar_test_20hz")
    chosen = in_batches(classifier_of("uci").classify, data["windows"]).argmax(1)
    assert percent(data["label"], chosen) == (74.2, 71.8)


def test_wisdm_leave_one_subject_out():
    """Row "WISDM10, frozen mean pool + logistic regression": 57.0 / 56.5."""
    data = read("wisdm10_20hz")
    label, subject = data["label"].numpy(), data["subject"].numpy()
    features = in_batches(encoder_of("x").embed, data["windows"])
    chosen = np.empty_like(label)
    for own in np.unique(subject):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        model.fit(features[subject != own], label[subject != own])
        chosen[subject == own] = model.predict(features[subject == own])
    assert percent(label, chosen) == pytest.approx((57.0, 56.5), abs=0.3)
