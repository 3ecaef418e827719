"""lt_lightning: long-tailed image classification with PyTorch Lightning."""

from lt_lightning._compat import declare_torchvision_ops

declare_torchvision_ops()
