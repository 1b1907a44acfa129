"""Training with PyTorch: batches by index, AdamW, one cycle, the best epoch kept.

The only module that imports torch, and only while it trains: a fitted model is numpy arrays. The
families say how their weights start and what they predict (`matrix_factorisation.py`, `mlp.py`);
drawing examples belongs in `interactions.py`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.models.extras import require
from recsys_assets.models.interactions import Interactions
from recsys_assets.playlists import Float32, Int64
from recsys_assets.progress import Progress

TRAIN_LOSS, VALID_LOSS = "train_loss", "valid_loss"

Weights = Mapping[str, Any]
"""Torch tensors by name."""
Logits = Callable[[Weights, Any, Any], Any]
"""From weights, playlists int64[b] and items int64[b] (tensors) to logits float32[b]."""


@dataclass(frozen=True)
class Schedule:
    """How to train; fields as of the families' hyperparameters."""

    epochs: int
    batch_size: int
    max_lr: float
    weight_decay: float
    negatives: int
    validation_share: float


@dataclass(frozen=True, eq=False)
class Learned:
    """What a training gives: the best epoch's weights, and every epoch's losses."""

    weights: dict[str, Float32]
    history: dict[str, list[float]]
    best_epoch: int


def one_cycle(step: int, total: int, max_lr: float) -> tuple[float, float]:
    """Return learning rate and momentum of a step of fastai's `fit_one_cycle`.

    Cosines from ``max_lr / 25`` to `max_lr` over the first quarter, then down to ``max_lr / 1e5``;
    momentum 0.95, 0.85, 0.95 (Smith, Super-convergence, 2018). torch's own OneCycleLR divides by
    zero at four steps.
    """
    at = step / max(total - 1, 1)
    first = at < 0.25
    part = at / 0.25 if first else (at - 0.25) / 0.75
    rising = (1 - math.cos(math.pi * part)) / 2
    ends = (max_lr / 25, max_lr, 0.95, 0.85) if first else (max_lr, max_lr / 1e5, 0.85, 0.95)
    return ends[0] + rising * (ends[1] - ends[0]), ends[2] + rising * (ends[3] - ends[2])


def train(
    start: Mapping[str, Float32],
    logits: Logits,
    interactions: Interactions,
    schedule: Schedule,
    *,
    family: str,
    rng: np.random.Generator,
    progress: Progress,
) -> Learned:
    """Fit weights to interactions and drawn negatives by binary cross-entropy.

    Every epoch draws its negatives anew, never one that the playlist holds, held out or not; the
    held-out interactions keep theirs. Torch works on one thread and draws nothing at random, so
    that the bits depend on neither threads nor on torch's own state; both are left as found.

    Parameters
    ----------
    start
        Initial weights; every array is trained.
    logits
        The prediction, before the sigmoid.

    Returns
    -------
    Learned
        The epoch with the lowest loss on the held-out interactions (where there are none, on the
        training examples).

    Raises
    ------
    ExtraError
        If torch is not installed.
    DataError
        If the loss is not finite.
    """
    require(family, "torch")
    import torch  # noqa: PLC0415  (1.4 s, an extra, and not needed to rank)
    from torch.nn.functional import binary_cross_entropy_with_logits  # noqa: PLC0415

    held = interactions.hold_out(schedule.validation_share, rng)
    owners, items = interactions.owners, interactions.sets.items.astype(np.int64)
    valid = _examples(interactions, owners[held], items[held], schedule.negatives, rng)
    history: dict[str, list[float]] = {TRAIN_LOSS: [], VALID_LOSS: []}
    best, best_epoch, lowest = dict(start), 0, math.inf

    with _one_thread():
        weights = {
            name: torch.tensor(value, device="cpu", requires_grad=True)
            for name, value in start.items()
        }
        optimizer = torch.optim.AdamW(
            list(weights.values()), lr=schedule.max_lr, betas=(0.95, 0.99), eps=1e-5,
            weight_decay=schedule.weight_decay, fused=True,
        )  # fmt: skip

        def loss_of(batch: tuple[Int64, Int64, Float32]) -> Any:  # noqa: ANN401  (a tensor)
            playlists, of, labels = map(torch.from_numpy, batch)
            return binary_cross_entropy_with_logits(logits(weights, playlists, of), labels)

        step = 0
        for epoch in range(schedule.epochs):
            examples = _examples(interactions, owners[~held], items[~held], schedule.negatives, rng)
            order = rng.permutation(len(examples[0]))
            shuffled = examples[0][order], examples[1][order], examples[2][order]
            steps = -(-len(order) // schedule.batch_size)
            total = torch.zeros((), dtype=torch.float64)
            for batch in _batches(shuffled, schedule.batch_size):
                rate, momentum = one_cycle(step, steps * schedule.epochs, schedule.max_lr)
                optimizer.param_groups[0].update(lr=rate, betas=(momentum, 0.99))
                optimizer.zero_grad()
                loss = loss_of(batch)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(batch[0])
                step += 1
            measured = {TRAIN_LOSS: float(total) / len(order)}
            if len(valid[0]):
                with torch.no_grad():
                    summed = sum(
                        float(loss_of(batch)) * len(batch[0])
                        for batch in _batches(valid, schedule.batch_size)
                    )
                measured[VALID_LOSS] = summed / len(valid[0])
            for name, value in measured.items():
                history[name].append(value)
            progress(
                f"{family}: epoch {epoch + 1} of {schedule.epochs}, "
                + ", ".join(f"{name} {value:.4f}" for name, value in measured.items())
            )
            judged = measured.get(VALID_LOSS, measured[TRAIN_LOSS])
            if not math.isfinite(judged):
                raise DataError(
                    f"{family}: the loss is {judged} in epoch {epoch + 1}; lower max_lr (now "
                    f"{schedule.max_lr}) in the candidates file"
                )
            if judged < lowest:
                lowest, best_epoch = judged, epoch + 1
                best = {name: one.detach().numpy().copy() for name, one in weights.items()}
    progress(f"{family}: epoch {best_epoch} kept")
    return Learned(best, {name: values for name, values in history.items() if values}, best_epoch)


def _examples(
    interactions: Interactions,
    owners: Int64,
    items: Int64,
    ratio: int,
    rng: np.random.Generator,
) -> tuple[Int64, Int64, Float32]:
    """Return positives and `ratio` negatives for each: playlists, items and labels."""
    others, missing = interactions.negatives(np.repeat(owners, ratio), rng)
    labels = np.zeros(len(owners) + len(others), np.float32)
    labels[: len(owners)] = 1
    return np.concatenate([owners, others]), np.concatenate([items, missing]), labels


def _batches(
    examples: tuple[Int64, Int64, Float32], size: int
) -> Iterator[tuple[Int64, Int64, Float32]]:
    playlists, items, labels = examples
    for first in range(0, len(labels), size):
        here = slice(first, first + size)
        yield playlists[here], items[here], labels[here]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Hold torch to one thread: the last bits of its sums depend on the number."""
    import torch  # noqa: PLC0415

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
