import pytest
import torch

from otolith.encoders._sensor_graph import SensorGraph, adjacency, node_mean

NETS = ("gin", "gcn", "gat", "dotgat")


def make(net, **options):
    torch.manual_seed(0)
    return SensorGraph(net, (6, 8, 8), hidden=8, **options)


def test_everybody_sees_everybody_else():
    edges = adjacency(torch.tensor([[True, True, False]]))
    torch.testing.assert_close(edges[0], torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]))


@pytest.mark.parametrize("net", NETS)
def test_graphs_do_not_see_each_other(net):
    graph = make(net).eval()
    nodes = torch.randn(3, 4, 6)
    together = graph(nodes)
    assert together.shape == (3, 4, 8)
    torch.testing.assert_close(graph(nodes[1:2]), together[1:2], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("training", [False, True])
def test_missing_sensors_change_nothing(net, training):
    graph = make(net, dropout=0.0, attention_dropout=0.0).train(training)
    nodes = torch.randn(3, 4, 6)
    mask = torch.tensor([[True] * 4, [True, True, False, False], [True, False, True, True]])
    noisy = torch.where(mask[:, :, None], nodes, 50.0)
    first, second = graph(nodes, mask), graph(noisy, mask)
    torch.testing.assert_close(first[mask], second[mask])
    torch.testing.assert_close(node_mean(first, mask), node_mean(second, mask))


@pytest.mark.parametrize("net", NETS)
def test_order_of_the_sensors_does_not_matter(net):
    graph = make(net).eval()
    nodes, order = torch.randn(2, 4, 6), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(graph(nodes)[:, order], graph(nodes[:, order]), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("net", NETS)
def test_a_sensor_alone_stays_finite_and_gradient_reaches_everything(net):
    graph = make(net, dropout=0.0, attention_dropout=0.0).eval()
    mask = torch.tensor([[True, False], [True, True]])
    nodes = torch.randn(2, 2, 6, requires_grad=True)
    out = graph(nodes, mask)
    assert torch.isfinite(out).all()
    (out[mask] ** 3).sum().backward()
    assert torch.isfinite(nodes.grad).all()
    assert all(p.grad is not None for p in graph.parameters())


def test_gin_cannot_tell_sensors_apart_without_a_weight_of_their_own():
    nodes = torch.randn(2, 4, 6)
    alike, apart = make("gin").eval()(nodes), make("gin", self_weight=1.0).eval()(nodes)
    assert (alike - alike[:, :1]).abs().max() < 1e-5
    assert (apart - apart[:, :1]).abs().max() > 1e-3


def test_the_last_layer_may_be_plain():
    plain = make("gcn", ends_plain=True)
    assert plain.layers[0].norm is not None
    assert plain.layers[1].norm is None
    seen = []
    plain.eval()(torch.randn(1, 3, 6), watch=seen.append)
    assert [x.shape for x in seen] == [(1, 3, 8)] * 2
