"""Two gloo processes compare the images of both, as one process with the whole batch would."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from lt_lightning.losses import BalancedContrast, ParametricContrast, ProbabilisticContrast, SupCon, SupSiam
from lt_lightning.modules import ContrastiveExperts

pytestmark = pytest.mark.command
TERMS = {
    "supsiam": partial(SupSiam, hidden=16, dim=16),
    "supsiam with a memory": partial(SupSiam, hidden=16, dim=16, positives=2, memory=2),
    "supcon": partial(SupCon, dim=16, memory=2),
    "balanced": partial(BalancedContrast, dim=16, memory=1),
    "paco": partial(ParametricContrast, dim=16, queue=10),
    "proco": partial(ProbabilisticContrast, dim=16),
}
SIZE = 8


class Step(nn.Module):
    """Two training steps whose losses are added, so that what the first remembers counts in the second."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.module = ContrastiveExperts([20, 9, 3], contrast=TERMS[name], backbone="resnet8", classifier="linear")
        for part in self.module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()  # each process has statistics of its own, and SyncBatchNorm needs a GPU

    def forward(self, batches: list[dict[str, Any]]) -> Tensor:
        return torch.stack([self.module.training_step(batch, 0)["loss"] for batch in batches]).sum()


def batches(part: slice) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for step in range(2):
        image, *views = (torch.randn(SIZE, 3, 8, 8, generator=generator)[part] for _ in range(3))
        label = torch.randint(3, (SIZE,), generator=generator)[part]
        made.append({"image": image, "views": views, "target": label, "label": label, "step_seed": step})
    return made


def loss_and_gradients(step: nn.Module, part: slice) -> dict[str, Tensor]:
    loss = step(batches(part))
    loss.backward()
    gradients = {name.replace("module.", ""): p.grad for name, p in step.named_parameters()}
    return {"loss": loss.detach(), **{name: g for name, g in gradients.items() if g is not None}}


def run(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    half = slice(rank * SIZE // 2, (rank + 1) * SIZE // 2)
    for name in TERMS:
        result = loss_and_gradients(DistributedDataParallel(Step(name), find_unused_parameters=False), half)
        distributed.all_reduce(result["loss"])  # type: ignore[no-untyped-call]
        result["loss"] /= 2
        torch.save(result, Path(folder, f"{name}-{rank}.pt"))
    distributed.destroy_process_group()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ddp")
    multiprocessing.start_processes(run, (str(path),), nprocs=2, start_method="fork")  # type: ignore[no-untyped-call]
    return path


@pytest.mark.parametrize("name", TERMS)
def test_two_processes_are_one_with_the_whole_batch(name: str, folder: Path) -> None:
    one = loss_and_gradients(Step(name), slice(None))
    for rank in range(2):
        two = torch.load(folder / f"{name}-{rank}.pt", weights_only=True)
        assert two.keys() == one.keys()
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, atol=1e-5, rtol=1e-5, msg=lambda m, key=key: f"{key}: {m}")
