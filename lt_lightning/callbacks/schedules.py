"""What changes with the epoch. Losses and modules know no epochs; these callbacks set their plain attributes.

What is set is a function of the epoch alone, so a resumed run goes on exactly, within an epoch too.

- [Cao et al., 2019] LDAM-DRW, deferred re-weighting. https://arxiv.org/abs/1906.07413
- [Wang et al., 2021] Routing Diverse Distribution-Aware Experts (RIDE). https://arxiv.org/abs/2010.01809
- [Wang et al., 2021b] Contrastive Learning based Hybrid Networks for Long-Tailed Image Classification (Hybrid-SC).
  https://arxiv.org/abs/2103.14267
- [Zhao et al., 2023] MDCS. https://arxiv.org/abs/2308.09922
"""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lt_lightning.errors import LtError
from lt_lightning.losses.reweighting import effective_number_weights


class Schedule(Callback):
    """Sets something at the start of every epoch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See :meth:`on_train_epoch_start`, which a run that is resumed within an epoch begins without."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set what this epoch asks for."""
        raise NotImplementedError


class DeferredReweighting(Schedule):
    """Weighs classes by the inverse of their effective number of images in the last part of a run [Cao et al., 2019].

    Until then no loss weighs classes, whatever it was built with. Terms of all experts together are told, too, by their
    attribute ``reweighted``, on which RIDE's temperatures depend [Wang et al., 2021]. A run that is resumed with
    another ``trainer.max_epochs`` begins to weigh at the same fraction of that one.

    Args:
        start: Fraction of ``trainer.max_epochs`` after which weights apply; LDAM-DRW and RIDE weigh from 160 of 200 on.
        beta: Of the effective number; 0 weighs all classes alike, towards 1 weights approach the inverse of the counts.

    Raises:
        ValueError: ``start`` is not in [0, 1], or ``beta`` not in [0, 1).
        LtError: The number of epochs is not known.
    """

    def __init__(self, start: float = 0.8, beta: float = 0.9999) -> None:
        if not (0 <= start <= 1 and 0 <= beta < 1):
            raise ValueError(f"start must lie in [0, 1] and beta in [0, 1), got {start} and {beta}")
        self.start, self.beta = start, beta

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set ``class_weight`` of every loss and ``reweighted`` of every term."""
        late = trainer.current_epoch >= round(self.start * _epochs(trainer))
        weight = effective_number_weights(torch.tensor(pl_module.class_counts), self.beta)
        for loss in pl_module.losses:  # type: ignore[union-attr]
            if late and loss.class_weight is not None:
                loss.class_weight.copy_(weight)  # in place, as below
            else:
                loss.class_weight = weight.to(loss.offset) if late else None
        for term in pl_module.terms:  # type: ignore[union-attr]
            term.reweighted = late


class Ramp(Schedule):
    """Raises a weight of the module linearly to its configured value.

    In epoch t, counted from 1, it is ``min(t / epochs, 1)`` times that, as the distillation of MDCS over its first 20
    epochs [Zhao et al., 2023]. The length of the run does not matter.

    Args:
        weight: Name of the weight, an argument of the module, such as ``distill_weight``.
        epochs: Epochs until the full weight.

    Raises:
        ValueError: ``epochs`` is below 1.
        LtError: The module has no such weight.
    """

    def __init__(self, weight: str, epochs: int = 20) -> None:
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}")
        self.weight, self.epochs = weight, epochs

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the weight."""
        share = min((trainer.current_epoch + 1) / self.epochs, 1.0)
        _set_weight(pl_module, self.weight, share * pl_module.hparams.get(self.weight, 0.0))


class ParabolicTransition(Schedule):
    """Moves the stress of a run from one loss to another: from representation to classification.

    In epoch t of T, counted from 1, the falling weight is ``1 - (t / T)^2`` and the rising one ``(t / T)^2``
    [Wang et al., 2021b], whatever they were configured with. A run that is resumed with another ``trainer.max_epochs``
    goes on along the parabola of that T.

    Args:
        falling: Name of the weight that ends at zero, an argument of the module.
        rising: Name of the weight that ends at one.

    Raises:
        LtError: The module lacks one of them, or the number of epochs is not known.
    """

    def __init__(self, falling: str = "contrast_weight", rising: str = "skill_weight") -> None:
        self.falling, self.rising = falling, rising

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set both weights."""
        done = ((trainer.current_epoch + 1) / _epochs(trainer)) ** 2
        _set_weight(pl_module, self.falling, 1 - done)
        _set_weight(pl_module, self.rising, done)


def _epochs(trainer: Trainer) -> int:
    if trainer.max_epochs is None or trainer.max_epochs < 1:
        raise LtError("a schedule needs the number of epochs of the run", "trainer.max_epochs", "set it")
    return trainer.max_epochs


def _set_weight(pl_module: LightningModule, name: str, value: float) -> None:
    weights = [key for key in pl_module.hparams if key.endswith("_weight")]
    if name not in weights:
        fix = f"name one of its weights: {', '.join(weights)}"
        raise LtError(f"{type(pl_module).__name__} has no weight called {name}", "a schedule in trainer.callbacks", fix)
    # As a float, steps would be compiled anew for it, as another tensor, a CUDA graph would be recorded anew.
    weight = getattr(pl_module, name)
    if isinstance(weight, Tensor) and weight.device == pl_module.device:
        weight.fill_(value)
    else:
        setattr(pl_module, name, torch.tensor(value, device=pl_module.device))
