"""Input standardisation is fitted once, by the training data, without what is masked."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file

from otolith.encoders._standardiser import Standardiser


def signals(seed=0, num=3):
    torch.manual_seed(seed)
    values = torch.randn(num, 50, 2) * torch.tensor([2.0, 0.1]) + torch.tensor([9.8, -1.0])
    real = torch.rand(num, 50, 2) < 0.8
    return values, real


def test_fitted_signals_have_mean_0_and_deviation_1():
    parts = [signals(0), signals(1, num=2)]
    module = Standardiser(2)
    module.fit(parts)
    values, real = (torch.cat(x) for x in zip(*parts, strict=True))
    out = module(values, real)
    for channel in range(2):
        own = out[..., channel][real[..., channel]]
        assert abs(own.mean()) < 1e-5
        assert abs(own.std(correction=0) - 1) < 1e-5
    assert out[~real].eq(0).all()


def test_masked_values_play_no_part():
    values, real = signals()
    one, other = Standardiser(2), Standardiser(2)
    one.fit([(values, real)])
    other.fit([(values.masked_fill(~real, 1e6), real)])
    assert torch.equal(one.mean_C, other.mean_C)
    assert torch.equal(one.scale_C, other.scale_C)


def test_the_first_training_batch_fits_and_later_ones_do_not():
    module, (values, real) = Standardiser(2), signals()
    assert torch.equal(module.eval()(values, real), values.masked_fill(~real, 0.0))
    assert not module.is_fitted
    first = module.train()(values, real)
    assert module.is_fitted
    mean = module.mean_C.clone()
    module(values + 5.0, real)
    assert torch.equal(module.mean_C, mean)
    assert torch.equal(module.eval()(values, real), first)


def test_what_was_fitted_is_not_fitted_again_by_training():
    module, (values, real) = Standardiser(2), signals()
    module.fit([(values, real)])
    mean = module.mean_C.clone()
    module.train()(values * 3.0, real)
    assert torch.equal(module.mean_C, mean)


def test_constant_and_absent_channels_are_divided_by_1():
    values = torch.full((2, 30, 3), 7.3)
    real = torch.ones_like(values, dtype=torch.bool)
    real[..., 2] = False
    module = Standardiser(3)
    module.fit([(values, real)])
    assert module.scale_C.tolist() == [1, 1, 1]
    assert module(values, real).abs().max() < 1e-5


def test_nothing_to_fit_leaves_it_unfitted():
    module = Standardiser(2)
    module.fit([])
    assert not module.is_fitted
    values, real = signals()
    module.fit([(values, torch.zeros_like(real))])
    assert not module.is_fitted


def test_the_numbers_are_saved_with_the_weights():
    module, (values, real) = Standardiser(2), signals()
    module.fit([(values, real)])
    other = Standardiser(2)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(values, real), module(values, real))
    assert other.is_fitted


def fit_share(rank, folder):
    store = (folder / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.set_num_threads(1)
    module, (values, real) = Standardiser(2), signals()
    rows = slice(0, 1) if rank == 0 else slice(1, 3)
    module.train()(values[rows], real[rows])
    save_file(module.state_dict(), folder / f"{rank}.safetensors")
    dist.destroy_process_group()


def test_processes_fit_to_what_all_of_them_see(tmp_path):
    mp.spawn(fit_share, args=(tmp_path,), nprocs=2)
    module = Standardiser(2)
    module.fit([signals()])
    for rank in range(2):
        found = load_file(tmp_path / f"{rank}.safetensors")
        torch.testing.assert_close(found["mean_C"], module.mean_C)
        torch.testing.assert_close(found["scale_C"], module.scale_C)
