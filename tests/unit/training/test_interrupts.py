"""Signals."""

import os
import signal
import threading

import pytest

from otolith.training.interrupts import SignalWatch


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_noted_and_the_second_acts(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append("old handler"))
    try:
        with SignalWatch() as watch:
            assert watch.name == ""
            os.kill(os.getpid(), number)
            assert watch.name == number.name
            assert heard == []
            os.kill(os.getpid(), number)
            assert heard == ["old handler"]
        os.kill(os.getpid(), number)
        assert len(heard) == 2
    finally:
        signal.signal(number, before)


def test_handlers_are_restored_without_a_signal():
    before = signal.getsignal(signal.SIGTERM)
    with SignalWatch():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_the_main_thread_nothing_is_changed():
    names = []

    def work():
        with SignalWatch() as watch:
            names.append(watch.name)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert names == [""]
