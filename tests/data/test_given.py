from pathlib import Path

from trees import save

from lt_lightning.data import DigitsLT
from lt_lightning.data.given import GivenImages


def test_classes_may_share_a_name(tmp_path: Path) -> None:
    """As the bird and the machine do: labels stay those of the checkpoint."""
    save(tmp_path / "a.png", 7)
    names = ["crane", "crane", "owl"]
    assert GivenImages([str(tmp_path / "a.png")], DigitsLT(), names, [3, 2, 1]).class_names == names
