"""What a training step costs: against the convolutions in it, with more experts, larger batches, more classes."""

import atexit
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD

from lt_lightning.callbacks.target_cache import TargetCache
from lt_lightning.compiled import compile_step
from lt_lightning.data.base import Batch
from lt_lightning.losses import BalancedSoftmax
from lt_lightning.models.backbones import BackboneName
from lt_lightning.models.cost import model_cost
from lt_lightning.modules import LongTailModule, Teacher
from speed.alone import in_a_process
from speed.measure import Costs, Faster, Pair, Takes

BATCH, CLASSES = 128, 100
PEAK = 64  # channels in and out of the convolution that counts as what the processor can do


def counts(classes: int = CLASSES) -> list[int]:
    """A long tail."""
    return [max(5, int(500 * 0.01 ** (c / max(1, classes - 1)))) for c in range(classes)]


def batch(size: int = BATCH, classes: int = CLASSES, side: int = 32) -> Batch:
    """Random images, channels last as the data modules give them."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(size, 3, side, side, generator=generator).contiguous(memory_format=torch.channels_last)
    target = torch.randint(classes, (size,), generator=generator)
    return {"image": image, "target": target, "label": target, "index": torch.arange(size), "seed": 0, "step_seed": 0}


def teacher(experts: int = 1, backbone: BackboneName = "resnet32", shared: int = 0, classes: int = CLASSES) -> Teacher:
    """One or more experts under balanced softmax."""
    return Teacher(counts(classes), [BalancedSoftmax] * experts, backbone=backbone, shared_stages=shared)


class Training:
    """Steps by hand: forward, backward, update.

    Args:
        module: What is trained.
        bf16: Whether under autocast.
    """

    def __init__(self, module: LongTailModule, bf16: bool = False) -> None:
        self.module, self.bf16 = module.train(), bf16
        self.optimizer = SGD(module.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step(self, batch: Batch) -> Tensor:
        """Learn from a batch; its loss."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss: Tensor = self.module.training_step(batch, 0)["loss"]  # type: ignore[operator]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def step(module: LongTailModule, example: Batch, bf16: bool = False) -> Callable[[], None]:
    """One step of training on a batch that is always the same."""
    return on(Training(module, bf16), example)


def on(training: Training, example: Batch) -> Callable[[], None]:
    """A step on a batch that is always the same."""

    def run() -> None:
        training.step(example)

    return run


def planar(module: Teacher, example: Batch) -> tuple[Teacher, Batch]:
    """Weights and images with each channel in one piece, as torch and torchvision make them."""
    module.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return module, {**example, "image": example["image"].contiguous()}


def convolutions(module: LongTailModule, example: Batch, dtype: torch.dtype) -> Callable[[], None]:
    """As many multiplications as a step has, forward and twice as many backward, in one fast convolution."""
    channels, height, width = example["image"].shape[1:]
    macs = 3 * len(example["image"]) * model_cost(module.net, (channels, height, width))[1]
    weight = torch.randn(PEAK, PEAK, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    image = torch.randn(32, PEAK, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    one = weight.numel() * 32 * 32 * 32

    def run() -> None:
        with torch.no_grad():
            for _ in range(round(macs / one)):
                F.conv2d(image, weight, padding=1)

    return run


def steps() -> Sequence[Pair]:
    """Cross-entropy on ResNet-32, of 128 images."""
    module, example = teacher(), batch()
    fp32, bf16 = step(module, example), step(teacher(), example, bf16=True)
    peak, peak_bf16 = (convolutions(module, example, dtype) for dtype in (torch.float32, torch.bfloat16))
    first = step(*planar(teacher(), example))
    return [
        Pair("CE step", "nothing", fp32, None, BATCH, "image", Takes(5.9)),
        Pair("CE step, bf16", "nothing", bf16, None, BATCH, "image", Takes(3.4)),
        Pair("CE step", "its convolutions at the processor's peak", fp32, peak, BATCH, "image", Faster(0.65)),
        Pair("CE step, bf16", "its convolutions at the peak in bf16", bf16, peak_bf16, BATCH, "image", Faster(0.5)),
        Pair("CE step", "the same step, channels first", fp32, first, BATCH, "image", Faster(1.2)),
        Pair("CE step, bf16", "the same step, fp32", bf16, fp32, BATCH, "image", Faster(1.4)),
    ]


def tried() -> Sequence[Pair]:
    """What could make a step cheaper, and is not what a run does by default unless it does."""
    example = batch()
    plain, fused, compiled = (Training(teacher()) for _ in range(3))
    fused.optimizer = SGD(fused.module.parameters(), 1e-3, 0.9, weight_decay=5e-4, nesterov=True, fused=True)
    compile_step(compiled.module, "default")
    same = "the step as it is"
    return [
        Pair(name, same, on(training, example), on(plain, example), BATCH, "image", Faster(1.0))
        for name, training in (("fused SGD", fused), ("compiled by `--compile default`", compiled))
    ]


def scale() -> Sequence[Pair]:
    """Growth with experts, images of a batch, classes."""
    example = batch()
    pairs = []
    for backbone in ("resnet32_reduced", "resnet32"):
        one = step(teacher(1, backbone, 1), example)  # type: ignore[arg-type]
        for experts in (2, 3, 4):
            more = step(teacher(experts, backbone, 1), example)  # type: ignore[arg-type]
            name, goal = f"{experts} experts, {backbone}, shared trunk", Costs(1 + 0.6 * (experts - 1))
            pairs.append(Pair(name, "1 expert", more, one, BATCH, "image", goal))
    one = step(teacher(), example)
    calls = in_a_process("large batch", kept=True), in_a_process("large batch", kept=False)
    pairs.append(Pair("batches of 512", "the same, freed memory given back", *calls, 512, "image", Faster(1.1)))
    few = repeat(step(teacher(), batch(32)), 4)
    pairs.append(Pair("batches of 32", "batches of 128", few, one, BATCH, "image", Costs(1.12)))
    calls = in_a_process("large batch", kept=True), in_a_process("four batches", kept=True)
    alone = "batches of 128, each in a process of its own"
    pairs.append(Pair("batches of 512", alone, *calls, 512, "image", Costs(1.12)))
    photos = batch(8, 1000, 224)
    few, many = (step(teacher(backbone="resnet50", classes=c), photos) for c in (1000, 8142))
    pairs.append(Pair("ResNet-50, 8,142 classes", "1,000 classes", many, few, 8, "image", Costs(1.06)))
    return pairs


def repeat(call: Callable[[], None], times: int) -> Callable[[], None]:
    """Several calls as one."""

    def run() -> None:
        for _ in range(times):
            call()

    return run


def teaching() -> Sequence[Pair]:
    """What a teacher of three experts adds to a student's step."""
    example, net = batch(), teacher(3, "resnet32_reduced", 1).net.eval().requires_grad_(False)
    student = step(teacher(), example)

    def taught(bf16: bool) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                net(example["image"]).float().mean(0)
            student()

        return run

    cache = TargetCache(_file(), {})
    cache.open(0)
    with torch.no_grad():
        cache.keep(0, example["image"], net(example["image"]).mean(0))
    cache.close(1)

    def recalled() -> None:
        cache.open(0)
        assert cache.recall(0, example["image"]) is not None
        student()

    alone = "student alone"
    return [
        Pair("student, 3-expert teacher in bf16", alone, taught(True), student, BATCH, "image", Costs(1.45)),
        Pair("student, 3-expert teacher in fp32", alone, taught(False), student, BATCH, "image", Costs(1.65)),
        Pair("student, 3-expert teacher kept in files", alone, recalled, student, BATCH, "image", Costs(1.05)),
    ]


def _file() -> Path:
    """Some file in a folder that is removed when Python ends: a teacher's, for all that its cache knows."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    file = Path(folder.name, "last.ckpt")
    file.touch()
    return file
