"""What a network costs: parameters and multiply-accumulates."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def model_cost(model: nn.Module, image_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Count the parameters of a model, and its multiply-accumulates (convolutions, matrices) for one image.

    The model runs once, in evaluation mode on the device it lies on, and stays as it was.

    Args:
        model: Any module that takes a batch of images.
        image_shape: Shape ``(3, H, W)`` of one image.

    Returns:
        Parameters, multiply-accumulates.
    """
    parameters = list(model.parameters())
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(parameters[0].new_zeros(1, *image_shape))
    finally:
        for module, training in modes:
            module.training = training
    return sum(parameter.numel() for parameter in parameters), counter.get_total_flops() // 2
