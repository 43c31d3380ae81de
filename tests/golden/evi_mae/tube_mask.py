"""The tube mask of a fixed permutation."""

import numpy as np
import torch

from otolith.encoders._tubelets import tube_mask


def run(case):
    settings = case.settings
    steps, rows, columns = settings["window"]
    order = np.arange(rows * columns)
    np.random.RandomState(settings["numpy_seed"]).shuffle(order)
    return {"mask": tube_mask(torch.from_numpy(order), steps, settings["mask_ratio"]).byte()}
