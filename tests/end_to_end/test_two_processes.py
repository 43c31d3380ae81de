"""Two processes on the CPU train as one does, also where batches are divided unevenly."""

import os

import pytest
from tests.support.processes import run_program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return run_program("tests.end_to_end.two_processes", tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize("scenario", ["plain", "accumulated", "global"])
def test_losses_and_weights_are_those_of_one_process(report, scenario):
    found = report[scenario]
    assert found["numbers"] < 1e-6
    assert found["weights"] < 1e-6
    assert found["moved"] > 1e-2, "the weights hardly moved, so the comparison says nothing"


def test_in_bf16_they_agree_as_far_as_it_can_tell(report):
    assert report["bf16"]["numbers"] < 2e-2
    assert report["bf16"]["weights"] < 1e-2


def test_a_parameter_that_drifts_apart_stops_both(report):
    for message in report["drifting"]:
        assert 'Parameter "scale" differs between processes' in message
