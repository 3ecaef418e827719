"""What an epoch is held against: the other side, and what ours trains there."""

from pathlib import Path

import pytest
import torch


def test_rows_say_what_the_other_side_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from speed import peers

    monkeypatch.setattr(peers, "STEPS", 1)
    built = list[Path]()

    def build(folder: Path, batches: object) -> None:
        built.append(folder)

    monkeypatch.setattr(peers, "REPOSITORIES", {name: (build, f"{name}'s own") for name in peers.REPOSITORIES})
    alone = [(pair.name, pair.against) for pair in peers.peers()]
    restated = "as in the repositories, restated"
    assert alone == [
        (f"{name}{precision}", f"{restated}{against}")
        for name in ("CE", "3 experts")
        for precision, against in (("", ""), (", bf16", ", in fp32"))
    ]
    for name in peers.REPOSITORIES:
        (tmp_path / name).mkdir()
    beside = [(pair.name, pair.against) for pair in peers.peers(tmp_path)]
    assert beside[2:4] == [("CE", "LDAM-DRW's own"), ("CE, bf16", "LDAM-DRW's own, in fp32")]
    assert [name for name, _ in beside[-2:]] == ["RIDE", "RIDE, bf16"]
    assert sorted(folder.name for folder in built) == sorted(peers.REPOSITORIES)


def test_ride_trains_the_losses_of_its_recipe() -> None:
    from speed import peers

    module = peers.ride()
    assert [type(loss).__name__ for loss in module.losses] == ["LDAM"] * 3
    assert [type(term).__name__ for term in module.terms] == ["DistributionAwareDiversity"]


def test_the_restated_loop_looks_at_its_own_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """One forward pass a step: the accuracy of a step costs no other."""
    from speed import peers

    monkeypatch.setattr(peers, "WORKERS", 0)
    image, passes = torch.randint(256, (2 * peers.BATCH, 32, 32, 3), dtype=torch.uint8), list[int]()
    rival = peers.Rival(lambda: small(passes), False, (1, 1))
    _, call = peers.other_side(rival, image, None)
    call()
    assert passes == [peers.BATCH] * 2


def small(passes: list[int]) -> torch.nn.Module:
    """A network that says how many images it is given."""
    from speed.training import teacher

    module = teacher(1, "resnet8")
    module.net.register_forward_pre_hook(lambda _, images: passes.append(len(images[0])))
    return module
