"""Timing actions in turn, and what is reported of repeated measurements."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

RESAMPLES = 2000  # of the bootstrap
CONFIDENCE = 0.95


class Figure(NamedTuple):
    """A figure of the report: the median of its rounds, between the ends of its bootstrap interval."""

    value: float
    low: float
    high: float
    bound: float | None  # that the value must not exceed
    rounds: int

    @classmethod
    def of(cls, samples: Iterable[float], bound: float | None = None) -> "Figure":
        """samples: one measurement a round. With one round the interval is that measurement."""
        rounds = np.asarray(list(samples), dtype=float)
        drawn = np.random.default_rng(0).choice(rounds, (RESAMPLES, len(rounds)))
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(np.median(drawn, axis=1), [tail, 1 - tail])
        return cls(float(np.median(rounds)), float(low), float(high), bound, len(rounds))

    @property
    def missed(self) -> bool:
        return self.bound is not None and not self.value <= self.bound  # so that NaN misses


def seconds(action: Callable[[], Any]) -> float:
    """Wall-clock seconds of an action, on a GPU until its work is done."""
    wait()
    began = time.perf_counter()
    action()
    wait()
    return time.perf_counter() - began


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_turn(actions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, all of them once a round, so that a slow spell of the machine meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action))
    return times


def ratios(times: dict[str, list[float]], name: str, to: str = "plain") -> list[float]:
    """One action's seconds over another's, within each round."""
    return [a / b for a, b in zip(times[name], times[to], strict=True)]


def median_seconds(action: Callable[[], Any], rounds: int) -> float:
    return statistics.median(seconds(action) for _ in range(rounds))
