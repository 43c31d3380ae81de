"""Input standardisation is fitted once, by the training data, without what is masked."""

import torch

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
