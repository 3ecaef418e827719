import hashlib
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from lt_lightning.commands import main
from lt_lightning.errors import LtError
from lt_lightning.models.experts import MultiExpert
from lt_lightning.models.pretrained import load_backbone

CE = Path(__file__).parents[2] / "configs" / "ce.yaml"
QUIET = ["--trainer.enable_progress_bar", "false", "--plots.pictures", "false"]


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    state: dict[str, torch.Tensor] = resnet18().state_dict()
    return state


def fit(run: Path, *flags: str) -> dict[str, torch.Tensor]:
    """Train with a rate of 0; returns the network's weights."""
    still = ["--model.backbone", "resnet18", "--optimizer.lr", "0", "--optimizer.weight_decay", "0"]
    short = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "0"]
    main(["fit", "--config", str(CE), *QUIET, *still, *short, "--trainer.default_root_dir", str(run), *flags])
    state: dict[str, torch.Tensor] = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    return state


def test_every_branch_and_the_trunk_begin_with_them(weights):
    net = MultiExpert("resnet18", 7, num_experts=2, shared_stages=2)
    load_backbone(net, weights)
    assert torch.equal(net.trunk.get_parameter("conv1.weight"), weights["conv1.weight"])
    for branch in net.branches:
        assert torch.equal(branch.get_parameter("layer4.1.conv2.weight"), weights["layer4.1.conv2.weight"])
        assert torch.equal(branch.get_buffer("layer3.0.bn1.running_var"), weights["layer3.0.bn1.running_var"])


def test_files_of_older_torchvisions_lack_a_count(weights):
    net = MultiExpert("resnet18", 7)
    load_backbone(net, {name: w for name, w in weights.items() if not name.endswith("num_batches_tracked")})
    assert torch.equal(net.branches[0].get_parameter("layer4.1.conv2.weight"), weights["layer4.1.conv2.weight"])


def test_a_second_stage_begins_with_its_first(tmp_path, weights):
    torch.save(weights, tmp_path / "own.pth")
    first = fit(tmp_path / "first")
    flags = ["--model.backbone", "resnet18", "--model.first_stage", str(tmp_path / "first" / "last.ckpt")]
    flags += ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "0"]
    flags += ["--pretrained.weights", str(tmp_path / "own.pth"), "--trainer.default_root_dir", str(tmp_path / "run")]
    main(["fit", "--config", str(CE.with_name("crt.yaml")), *QUIET, *flags])
    second = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    name = "net.branches.0.layer1.0.conv1.weight"
    assert torch.equal(second[name], first[name])


@pytest.mark.parametrize("backbone", ["resnet50", "resnet50_reduced", "resnet32"])
def test_weights_of_another_network_are_refused(backbone, weights):
    with pytest.raises(ValueError, match=r"the backbone.* has the shape"):
        load_backbone(MultiExpert(backbone, 7), weights)


def test_a_run_begins_with_the_weights_of_a_file(tmp_path, weights):
    torch.save(weights, tmp_path / "own.pth")
    state = fit(tmp_path / "run", "--pretrained.weights", str(tmp_path / "own.pth"))
    assert torch.equal(state["net.branches.0.layer1.0.conv1.weight"], weights["layer1.0.conv1.weight"])
    assert "own.pth" in (tmp_path / "run" / "config.yaml").read_text()
    (tmp_path / "own.pth").unlink()  # a run that is resumed, or measured, needs them no more
    main(["test", "--ckpt_path", str(tmp_path / "run" / "last.ckpt"), *QUIET])
    main(["fit", "--ckpt_path", str(tmp_path / "run" / "last.ckpt"), "--trainer.max_epochs", "2", *QUIET])


def test_a_file_whose_name_says_its_hash_is_compared(tmp_path, weights):
    torch.save(weights, tmp_path / "own.pth")
    digest = hashlib.sha256((tmp_path / "own.pth").read_bytes()).hexdigest()
    right, wrong = tmp_path / f"resnet18-{digest[:8]}.pth", tmp_path / "resnet18-01234567.pth"
    right.write_bytes((tmp_path / "own.pth").read_bytes())
    wrong.write_bytes((tmp_path / "own.pth").read_bytes())
    fit(tmp_path / "right", "--pretrained.weights", str(right))
    with pytest.raises(SystemExit, match="2"):
        fit(tmp_path / "wrong", "--pretrained.weights", str(wrong))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "these weights do not exist"),
        (b"not tensors", "damaged"),
        ({"epoch": 3}, "something else than named tensors"),
        ({"conv1.weight": torch.zeros(1)}, "the backbone's conv1.weight has the shape"),
    ],
)
def test_files_that_do_not_fit(content, says, tmp_path, capsys):
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(SystemExit, match="2"):
        fit(tmp_path / "run", "--pretrained.weights", str(file))
    assert says in capsys.readouterr().err


def test_names_that_torchvision_does_not_have(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        fit(tmp_path / "run", "--pretrained.weights", "ResNet18_Weights.IMAGENET9K")
    assert "no such weights" in capsys.readouterr().err


def test_weights_that_cannot_be_downloaded(monkeypatch):
    from urllib.error import URLError

    from torchvision.models import ResNet18_Weights

    from lt_lightning.callbacks import Pretrained

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(LtError, match="cannot be downloaded") as refusal:
        Pretrained._read("ResNet18_Weights.IMAGENET1K_V1")
    assert ResNet18_Weights.IMAGENET1K_V1.url in str(refusal.value)
