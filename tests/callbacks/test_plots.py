"""What a command leaves to be looked at, and that a fault while drawing costs one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import QUIET, fit

from lt_lightning.callbacks import Plots, plots
from lt_lightning.callbacks.plots import thumbnails
from lt_lightning.commands import main
from lt_lightning.plots import chart as charts
from lt_lightning.plots.chart import Chart
from lt_lightning.plots.tables import read_classes, read_epochs
from lt_lightning.plots.top_losses import read_strip


def test_a_chart_that_fails_costs_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = charts.as_png

    def failing(chart: Chart) -> bytes:
        if chart.name == "curves":
            raise ZeroDivisionError("of a\nfault")
        return b"drawn elsewhere" if chart.name != "per_class_val" else real(chart)

    monkeypatch.setattr(charts, "as_png", failing)
    run = fit(tmp_path / "run", "--trainer.max_epochs", "1", "--plots.pictures", "true")
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert said == ["lt: warning: the chart curves could not be made (ZeroDivisionError: of a fault)"]
    names = {path.name for path in (run / "plots").iterdir()}
    stems = ["shot_bars", "acc_vs_frequency", "per_class", "reliability", "confusion", "confused_pairs", "top_losses"]
    expected = {f"{stem}_val.{kind}" for stem in stems for kind in ("csv", "png")}
    assert names == expected | {"pairs_val.csv", "top_losses_val.ppm", "curves.csv"} | {
        f"{stem}.{kind}" for stem in ("class_distribution", "training") for kind in ("csv", "png")
    }
    assert (run / "plots" / "per_class_val.png").read_bytes().startswith(b"\x89PNG")
    assert "ensemble" not in (run / "report.html").read_text()
    assert sum(c.images for c in read_classes(run, "val")) == 240
    epochs = read_epochs(run)
    main(["test", "--ckpt_path", str(run / "last.ckpt"), *QUIET])
    assert (run / "plots" / "pairs_test.csv").is_file()
    assert not (run / "plots" / "per_class_test.png").exists()
    assert read_epochs(run) == epochs  # lt test leaves what training logged
    assert np.asarray(read_strip(run / "plots" / "top_losses_test.ppm", 32)).shape == (32, 8, 8, 3)


def test_images_that_cannot_be_read_any_more_cost_their_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(image: torch.Tensor) -> torch.Tensor:
        raise OSError("gone")

    monkeypatch.setattr(plots, "thumbnails", failing)
    run = fit(tmp_path / "run", "--trainer.max_epochs", "1")
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert said == ["lt: warning: the pictures of largest loss could not be made (OSError: gone)"]
    assert (run / "plots" / "top_losses_val.csv").is_file()
    assert (run / "plots" / "pairs_val.csv").is_file()
    assert not (run / "plots" / "top_losses_val.ppm").exists()


def test_large_images_are_kept_small() -> None:
    image = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    assert thumbnails(image).shape == (2, 96, 96, 3)
    assert thumbnails(image).float().mean().item() == pytest.approx(image.float().mean().item(), abs=1)
    assert torch.equal(thumbnails(image[:, :32, :32]), image[:, :32, :32])


def test_no_image_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"plots.hardest must be at least 1, got 0"):
        Plots(hardest=0)
