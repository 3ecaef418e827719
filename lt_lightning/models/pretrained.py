"""Backbones that begin with the weights of another network."""

from collections.abc import Mapping

from torch import Tensor

from lt_lightning.models.experts import MultiExpert


def load_backbone(net: MultiExpert, weights: Mapping[str, Tensor]) -> None:
    """Copy torchvision's weights of a network into trunk and branches, into each branch the same.

    Args:
        net: A network with a backbone of torchvision.
        weights: Of a torchvision network, by its names; those of the classifier are not used.

    Raises:
        ValueError: A weight is missing, or has another shape.
    """
    for part in (net.trunk, *net.branches):
        own = part.state_dict()
        for name, tensor in own.items():
            found = weights.get(name, tensor if name.endswith("num_batches_tracked") else None)  # older files lack it
            if found is None or found.shape != tensor.shape:
                has = "none" if found is None else f"{tuple(found.shape)}"
                raise ValueError(f"the backbone's {name} has the shape {tuple(tensor.shape)}, the weights have {has}")
        part.load_state_dict({name: weights.get(name, tensor) for name, tensor in own.items()})
