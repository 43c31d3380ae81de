"""One sensor graph network alone: encoder and decoder, batch statistics, per-sample mean."""

import torch

from otolith.encoders._sensor_graph import SensorGraph, node_mean
from otolith.systems._evi_official import graph_names
from tests.golden.tsfm._convert import fill


def make(settings, part, *, dropout):
    """The network of one part of a case."""
    sizes = settings[part]
    heads = [sizes["heads"]] * (sizes["num_layers"] - 1) + [sizes["out_heads"]]
    widths = [sizes["in_dim"]]
    for layer, count in enumerate(heads):
        is_last = layer == len(heads) - 1
        widths.append((sizes["out_dim"] if is_last else sizes["num_hidden"]) * count)
    return SensorGraph(
        settings["net"],
        tuple(widths),
        hidden=sizes["num_hidden"],
        num_heads=sizes["heads"],
        num_last_heads=sizes["out_heads"],
        dropout=dropout,
        attention_dropout=settings["attn_dropout"],
        ends_plain=not settings[f"{part}_last_layer_norm_and_activation"],
        self_weight=settings["gin_eps"],
    )


def run(case):
    settings, io = case.settings, case.io
    nodes = settings["nodes_per_graph"]

    def graphs(rows):
        return rows.view(-1, nodes, rows.shape[1])

    def filled(part, **options):
        is_decoder = part == "decoder"
        network = make(settings, part, **options)
        names = graph_names(settings["net"], is_decoder=is_decoder)
        return fill(network, case.section(settings[part]["weights_prefix"]), names), names

    encoder, names = filled("encoder", dropout=settings["feat_dropout"])
    decoder, _ = filled("decoder", dropout=settings["feat_dropout"])
    hidden = []
    out = encoder(graphs(io["node_features"]), watch=hidden.append)
    got = {
        "enc_out": out.flatten(0, 1),
        "enc_hidden0": hidden[0].flatten(0, 1),
        "dec_out": decoder(graphs(io["dec_in"])).flatten(0, 1),
        "pooled": node_mean(out),
    }
    if settings["train_mode_check"]:
        trained, _ = filled("encoder", dropout=settings["train_mode_dropout"])
        trained.train()
        out = trained(graphs(io["node_features"]))
        got["enc_out_trainmode_nodropout"] = out.flatten(0, 1)
        for key, value in trained.named_buffers():
            if value.is_floating_point():
                got["after_train." + names(key)[0]] = torch.clone(value)
    return got
