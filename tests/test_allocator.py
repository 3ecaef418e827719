"""The allocator is told to keep what is freed, where it can be told."""

import ctypes
from types import SimpleNamespace

import pytest

from lt_lightning import allocator, cli
from lt_lightning.allocator import give_back_freed_memory, keep_freed_memory


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no such thresholds")
def test_glibc_takes_the_thresholds() -> None:
    assert keep_freed_memory()


def test_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[int, int] = {}
    library = SimpleNamespace(mallopt=lambda parameter, value: told.setdefault(parameter, value) == value)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert keep_freed_memory()
    assert told == {-1: 2**31 - 1, -3: 2**30}  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    told.clear()
    give_back_freed_memory()
    assert told == {-1: 2**26, -3: 2**25}


def test_another_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert not keep_freed_memory()
    give_back_freed_memory()


def test_the_command_does_so() -> None:
    assert cli.keep_freed_memory is allocator.keep_freed_memory
    assert "keep_freed_memory" in cli.LongTailCLI.__init__.__code__.co_names
