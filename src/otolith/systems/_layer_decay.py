"""Parameter groups whose learning rate falls from layer to layer towards the input.

As in Clark et al. (ICLR 2020) and Bao et al. (BEiT, ICLR 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn


def layer_decay_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    layer_of: Callable[[str], int | None],
    top: int,
    factor: float,
    *,
    never_decays: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Return optimizer groups, in the order in which their first parameter comes.

    Args:
        named: Trainable parameters with their names.
        layer_of: Layer of a name, 0 at the input; None = the top.
        top: Number of the top layer, which learns at the full rate.
        factor: Factor of the learning rate per layer.
        never_decays: Names without weight decay besides one-dimensional tensors.
    """
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in named:
        found = layer_of(name)
        layer = top if found is None else found
        decays = parameter.ndim > 1 and name not in never_decays
        group = groups.setdefault(
            (layer, decays),
            {
                "name": f"layer-{layer}{'' if decays else '-no-decay'}",
                "params": [],
                "lr_scale": factor ** (top - layer),
                **({} if decays else {"weight_decay": 0.0}),
            },
        )
        group["params"].append(parameter)
    return list(groups.values())
