"""Makes torchvision importable beside a torch build that its compiled operators were not made for.

The registry's torchvision is compiled against CUDA. Beside a CPU build of torch its library cannot load, two operators
stay undeclared, and ``import torchvision`` fails; so do torchmetrics and lightning, which import it
(https://github.com/pytorch/vision/issues/9085). Declaring the schemas is enough for everything written in Python.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_KEEP: list[Any] = []  # a torch.library.Library's declarations vanish with the object


class TorchvisionFinder(MetaPathFinder):
    """Finds torchvision as Python does, and has it loaded by :class:`TorchvisionLoader`, whoever imports it.

    So torch is imported by those who need it, and commands that do not answer at once.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The place of torchvision itself; None for every other module."""
        if fullname != "torchvision" or (spec := PathFinder.find_spec(fullname, path, target)) is None:
            return None
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader = TorchvisionLoader(spec.loader.name, spec.loader.path)
        return spec


class TorchvisionLoader(SourceFileLoader):
    """Loads torchvision; where its own library cannot load, declares the schemas of ``nms`` and ``qnms`` first."""

    def exec_module(self, module: ModuleType) -> None:
        """Load it.

        Raises:
            RuntimeError: torchvision fails to import for any other reason.
        """
        try:
            super().exec_module(module)
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            import torch

            for name in [name for name in sys.modules if name.startswith("torchvision.")]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
            for operator in ("nms", "qnms"):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
            _KEEP.append(library)
            super().exec_module(module)
