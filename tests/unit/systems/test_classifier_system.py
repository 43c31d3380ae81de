"""Classifier: unlabelled samples, class weights, and two processes that equal one."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from tests.support.tsfm_align import make_batch, rows
from torch import nn

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.systems import classifier

WEIGHTS = (0.5, 2.0, 4.0)
SHARES = ([0, 1, 2], [3])


class Base(nn.Module):
    """Embeds a window as its mean."""

    def embed(self, batch):
        return batch.streams["imu"].values.mean(1)


def make_system():
    torch.manual_seed(0)
    settings = {"base": "statistics", "width": 6, "labels": ["a", "b", "c"], "dropout": 0.0}
    config = parse(classifier.Config, settings | {"class_weights": WEIGHTS})
    return classifier.System(config, Base()).train()


def labelled(labels=(0, 2, 1, -1)):
    return replace(make_batch(), targets={"label": torch.tensor(labels)})


def share_of(batch, chosen):
    return replace(rows(batch, chosen), targets={"label": batch.targets["label"][chosen]})


def test_the_loss_is_the_weighted_mean_over_labelled_samples():
    system, batch = make_system(), labelled()
    out = system.loss(batch)
    expected = nn.functional.cross_entropy(
        system.classify(batch)[:3], batch.targets["label"][:3], weight=torch.tensor(WEIGHTS)
    )
    torch.testing.assert_close(out.total, expected)
    right = (system.classify(batch).argmax(1) == batch.targets["label"])[:3].float().mean()
    torch.testing.assert_close(out.parts["accuracy"], right)
    assert out.per_sample_B is None
    assert system.loss(labelled((0, 2, 1, 1))).per_sample_B.shape == (4,)


def test_a_batch_without_labels_has_loss_zero():
    system = make_system()
    out = system.loss(labelled((-1, -1, -1, -1)))
    out.total.backward()
    assert out.total == 0
    assert system.head.weight.grad.eq(0).all()


def work(rank, folder):
    store = (folder / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=len(SHARES))
    torch.set_num_threads(1)
    system = make_system()
    out = system.loss(share_of(labelled(), SHARES[rank]))
    out.total.backward()
    gradient = system.head.weight.grad
    dist.all_reduce(gradient)
    found = {"loss": out.total.detach(), "gradient": gradient / len(SHARES)}
    save_file(found, folder / f"{rank}.safetensors")
    dist.destroy_process_group()


def test_two_processes_have_the_gradient_of_one(tmp_path):
    mp.spawn(work, args=(tmp_path,), nprocs=len(SHARES))
    found = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(len(SHARES))]
    system = make_system()
    out = system.loss(labelled())
    out.total.backward()
    mean = sum(part["loss"] for part in found) / len(SHARES)
    torch.testing.assert_close(mean, out.total.detach())
    torch.testing.assert_close(found[0]["gradient"], system.head.weight.grad)


@pytest.mark.parametrize("change", [{"labels": ["a"]}, {"class_weights": [1.0]}])
def test_settings_that_contradict_each_other_are_refused(change):
    config = make_system().config
    with pytest.raises(ConfigError):
        classifier.System(replace(config, **{k: tuple(v) for k, v in change.items()}), Base())
