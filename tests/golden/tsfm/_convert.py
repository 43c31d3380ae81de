"""Weights of one module through the converter, both ways."""

import torch

from otolith.systems._official import convert_from_official, convert_to_official


def fill(module, official, names):
    """Load the authors' weights of a module and check that they come out again; evaluation mode."""
    found, report = convert_from_official(official, module.state_dict(), names)
    assert not report.missing
    assert not report.unexpected
    module.load_state_dict(found)
    back = convert_to_official(module.state_dict(), names)
    assert set(back) == set(official)
    for key, value in official.items():
        torch.testing.assert_close(back[key], value, atol=0, rtol=0)
    return module.eval()
