"""What prediction needs of a trained model, and nothing else: pixels in, probabilities out."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lt_lightning.data import LongTailDataModule


class Classifier(nn.Module):
    """Normalisation, network and what makes one prediction of its experts, in evaluation mode.

    Losses, contrastive heads and whatever else only training needs stay behind.

    Args:
        net: Normalised images ``(B, 3, H, W)`` to logits ``(E, B, C)``.
        read_out: These to logits ``(B, C)``.
        data: Its mean and deviation normalise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, read_out: nn.Module, data: LongTailDataModule) -> None:
        super().__init__()
        self.net, self.read_out = net, read_out
        self.register_buffer("mean", torch.tensor(data.mean) * 255)
        self.register_buffer("std", torch.tensor(data.std) * 255)
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Pixels ``(B, H, W, 3)``, uint8, to logits and probabilities ``(B, C)``."""
        normalised = ((image.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        logits = self.read_out(self.net(normalised))
        return {"logits": logits, "probabilities": logits.softmax(-1)}


def tensors(classifier: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All parameters and buffers by name, those too that checkpoints leave out."""
    yield from classifier.named_parameters()
    yield from classifier.named_buffers()
