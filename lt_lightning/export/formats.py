"""The formats of exported models: how each is written, and run again from its file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from lt_lightning.errors import LtError
from lt_lightning.export.classifier import Classifier, tensors

OPSET = 18
"""Version of ONNX's operators; onnxruntime has had it since 1.14, of February 2023."""
MAX_BYTES = 2**31 - 2**20
"""What one file of ONNX can hold, less a MiB for the graph."""

Run = Callable[[Tensor], Tensor]
"""Pixels ``(B, H, W, 3)``, uint8, to logits ``(B, C)``."""


class Format(ABC):
    """A format."""

    @abstractmethod
    def write(self, classifier: Classifier, image: Tensor, facts: Mapping[str, str], file: BinaryIO) -> None:
        """Write a model.

        Args:
            classifier: The model.
            image: A batch such as it takes, ``(B, H, W, 3)``, uint8.
            facts: What the file says of the model, JSON by name.
            file: Open for writing.
        """

    @abstractmethod
    def open(self, file: Path, classifier: Classifier) -> Run:
        """What a file computes.

        Args:
            file: Which :meth:`write` has written.
            classifier: The model it was written of, which lends its form where the format holds weights alone.
        """


class Onnx(Format):
    """A graph for onnxruntime and others, in one file."""

    def write(self, classifier: Classifier, image: Tensor, facts: Mapping[str, str], file: BinaryIO) -> None:
        """Write the graph, without what the exporter notes of this machine's files.

        Raises:
            LtError: It is larger than one file of ONNX can be.
        """
        import onnx  # the three packages are an extra, and take a second

        if (size := sum(tensor.nbytes for _, tensor in tensors(classifier))) > MAX_BYTES:
            what = f"one ONNX file holds 2 GiB at most, the weights are {size / 2**30:.1f} GiB"
            raise LtError(what, "--format onnx", "use --format pt2")
        program = torch.onnx.export(
            classifier,
            (image,),
            input_names=["image"],
            output_names=["logits", "probabilities"],
            opset_version=OPSET,
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
        model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)  # the exporter asks for a newer one,
        for part in (model.graph, *model.graph.node):  # of which it uses these notes alone
            del part.metadata_props[:]
        onnx.helper.set_model_props(model, dict(facts))
        file.write(model.SerializeToString())

    def open(self, file: Path, classifier: Classifier) -> Run:
        """The graph, on the CPU."""
        import onnxruntime

        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return lambda image: torch.from_numpy(session.run(["logits"], {"image": image.numpy()})[0])


class Pt2(Format):
    """A graph of torch's own, for ``torch.export.load``."""

    def write(self, classifier: Classifier, image: Tensor, facts: Mapping[str, str], file: BinaryIO) -> None:
        """Write the graph, without what the exporter notes of this machine's files."""
        shapes = {"image": {0: torch.export.Dim("batch")}}
        program = torch.export.export(classifier, (image,), dynamic_shapes=shapes)
        for part in program.graph_module.modules():
            for node in part.graph.nodes:
                node.meta.pop("stack_trace", None)
        torch.export.save(program, file, extra_files=dict(facts))

    def open(self, file: Path, classifier: Classifier) -> Run:
        """The graph, on the CPU."""
        with file.open("rb") as binary:
            run = torch.export.load(binary).module()
        return lambda image: run(image)["logits"]


class Safetensors(Format):
    """Weights by name, and no graph: for those who build the network themselves."""

    def write(self, classifier: Classifier, image: Tensor, facts: Mapping[str, str], file: BinaryIO) -> None:
        """Write all parameters and buffers."""
        from safetensors.torch import save

        named = {name: tensor.contiguous() for name, tensor in tensors(classifier)}
        file.write(save(named, {**facts, "format": "pt"}))

    def open(self, file: Path, classifier: Classifier) -> Run:
        """A model of the same form that has nothing but the file's weights."""
        from safetensors.torch import load_file

        read, rebuilt = load_file(file), deepcopy(classifier)
        for name, tensor in tensors(rebuilt):
            tensor.copy_(read[name])
        return lambda image: rebuilt(image)["logits"]


FORMATS: dict[str, Format] = {"onnx": Onnx(), "pt2": Pt2(), "safetensors": Safetensors()}
"""By the names of :data:`lt_lightning.export.command.FORMATS`."""
