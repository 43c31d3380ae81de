"""Layout of patches, loss of hidden ones, position tables."""

import torch

from otolith.encoders._mae import patchify, sine_positions, unpatchify
from otolith.objectives import masked_pixels


def run(case):
    io, s, got = case.io, case.settings, {}
    for variant in s["variants"]:
        name, side = variant["name"], variant["patch_size"]
        images = io[f"{name}.imgs"]
        grid = tuple(size // side for size in variant["img_size"])
        patches = patchify(images, side)
        predicted, hidden = io[f"{name}.pred"], io[f"{name}.mask"].bool()
        assert patches.shape[2] == side**2 * variant["in_chans"]
        got |= {
            f"{name}.grid": torch.tensor(grid),
            f"{name}.patches": patches,
            f"{name}.unpatchified": unpatchify(predicted, grid, side),
        }
        for flag in (0, 1):
            config = masked_pixels.Config(is_target_normalised=bool(flag), eps=s["pixel_norm_eps"])
            # One sample after the other, since a case may hide different numbers of patches.
            pairs = zip(predicted, patches, hidden, strict=True)
            sums = [
                masked_pixels.Objective(config)(p[h][None], t[h][None]).total * h.sum()
                for p, t, h in pairs
                if h.any()
            ]
            got[f"{name}.loss_normpix{flag}"] = torch.stack(sums).sum() / hidden.sum()
    for table in s["position_tables"]:
        found = sine_positions(tuple(table["grid"]), table["dim"], has_cls=table["cls_token"])
        rows = table["rows"]
        got[table["output"]] = found if rows is None else found[rows]
    return got
