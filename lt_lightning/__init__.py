"""lt_lightning: long-tailed image classification with PyTorch Lightning."""

import sys

from lt_lightning._compat import TorchvisionFinder

sys.meta_path.insert(0, TorchvisionFinder())
