"""lt_lightning: long-tailed image classification with PyTorch Lightning."""

from lt_lightning._compat import declare_torchvision_ops

try:
    declare_torchvision_ops()
except KeyboardInterrupt:  # torch takes seconds to import, and Ctrl-C in these needs no traceback
    raise SystemExit(130) from None
