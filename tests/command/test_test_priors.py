"""`lt test` measures other test priors too."""

import json

import pytest
from commands import QUIET, fit

from lt_lightning.commands import main

pytestmark = pytest.mark.command


def test_a_head_favouring_model_likes_forward_priors_and_is_mended_by_knowing_them(tmp_path):
    run = fit(tmp_path, "--trainer.max_epochs", "15")
    main(["test", "--ckpt_path", str(run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
    figures = json.loads((run / "summary.json").read_text())["test"]["last"]
    assert figures["uniform/acc"] == pytest.approx(figures["acc"])
    assert figures["forward50/acc"] > figures["acc"] > figures["backward50/acc"]
    assert figures["backward50/acc_known"] > figures["backward50/acc"]
    main(["validate", "--ckpt_path", str(run / "last.ckpt"), "--trainer.accelerator", "cpu", *QUIET])
    assert "uniform/acc" not in json.loads((run / "summary.json").read_text())["validate"]["last"]
