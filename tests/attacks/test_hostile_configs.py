"""A configuration is data: whatever it names, nothing runs, nothing is imported, nothing is fetched."""

import os
import time
from pathlib import Path

import pytest
from attack import PLANTED
from commands import ROOT, refusal

from lt_lightning.commands import main
from lt_lightning.strict_yaml import read_yaml

CE = ["fit", "--config", str(ROOT / "configs" / "ce.yaml"), "--trainer.default_root_dir", "run"]
CALL = "{class_path: subprocess.Popen, init_args: {args: SHELL, shell: true}}"
HOSTILE = {
    "a class as model": f"model: {CALL}",
    "a planted model": f"model: {PLANTED}.Model",
    "a planted set": f"data: {{class_path: {PLANTED}.Data}}",
    "a call as loss": "model: {init_args: {losses: [os.system]}}",
    "a class as loss": f"model: {{init_args: {{losses: [{CALL}]}}}}",
    "a planted loss": f"model: {{init_args: {{losses: [{PLANTED}.call]}}}}",
    "a call as term": "model: {init_args: {terms: [subprocess.getoutput]}}",
    "a call as combination": "model: {init_args: {combination: builtins.eval}}",
    "a call as network": f"model: {{init_args: {{network: {PLANTED}.call}}}}",
    "a class as optimizer": f"optimizer: {CALL}",
    "a planted optimizer": f"optimizer: {PLANTED}.Model",
    "a class as schedule": f"lr_scheduler: {CALL}",
    "a call within a schedule": "lr_scheduler: {class_path: LambdaLR, init_args: {lr_lambda: os.system}}",
    "a class as callback": f"trainer: {{callbacks: [{CALL}]}}",
    "a planted callback": f"trainer: {{callbacks: [{PLANTED}.Data]}}",
    "a call within a callback": "trainer: {callbacks: [{class_path: LambdaCallback, init_args: {setup: os.system}}]}",
    "a planted call within a callback": "trainer: {callbacks: [{class_path: LambdaCallback, "
    f"init_args: {{on_fit_start: {PLANTED}.call}}}}]}}",
    "a class within a callback": "trainer: {callbacks: [{class_path: LambdaCallback, init_args: {setup: "
    + CALL
    + "}}]}",
    "a class as logger": f"trainer: {{logger: {CALL}}}",
    "a class as profiler": f"trainer: {{profiler: {CALL}}}",
    "a class as strategy": f"trainer: {{strategy: {CALL}}}",
    "a call within a strategy": "trainer: {strategy: {class_path: DDPStrategy, init_args: {ddp_comm_hook: os.system}}}",
    "a class as plugin": f"trainer: {{plugins: [{CALL}]}}",
    "a planted plugin": f"trainer: {{plugins: [{PLANTED}.Data]}}",
    "a class as mix": f"data: {{init_args: {{mix: {CALL}}}}}",
    "a call within a mix": "data: {init_args: {mix: {class_path: torchvision.transforms.v2.Lambda, "
    "init_args: {lambd: os.system}}}}",
    "a class as augmentation": f"data: {{init_args: {{augment: [{CALL}]}}}}",
    "a planted augmentation": f"data: {{init_args: {{augment: [{PLANTED}.Data]}}}}",
    "what an allowed module imports": "model: {init_args: {combination: lt_lightning.callbacks.report.Path}}",
    "what an allowed module imports, deeper": "trainer: {callbacks: [{class_path: LambdaCallback, "
    "init_args: {setup: lightning.pytorch.callbacks.model_checkpoint.shutil.rmtree}}]}",
    "what the command imports": "trainer: {callbacks: [{class_path: LambdaCallback, "
    "init_args: {setup: lt_lightning.cli.os.system}}]}",
    "the command itself": "trainer: {callbacks: [{class_path: LambdaCallback, "
    "init_args: {setup: lt_lightning.cli.main}}]}",
    "an archive unpacked": "trainer: {callbacks: [{class_path: LambdaCallback, "
    "init_args: {setup: lt_lightning.data.archives.extract}}]}",
    "what unpickles": "model: {class_path: lt_lightning.modules.Teacher.load_from_checkpoint, "
    "init_args: {checkpoint_path: evil.ckpt, weights_only: false}}",
    "torch.load": "trainer: {callbacks: [{class_path: LambdaCallback, "
    "init_args: {setup: torch.optim.adam.torch.load}}]}",
    "another policy": "trainer: {callbacks: [{class_path: LambdaCallback, "
    "init_args: {setup: jsonargparse.set_parsing_settings}}]}",
    "a tag that calls": "trainer: !!python/object/apply:os.system [SHELL]",
    "a tag that imports": f"trainer: !!python/module:{PLANTED}",
    "a tag that builds": f"data: !!python/object/new:{PLANTED}.Data []",
    "a plugin": f"plugins: [{PLANTED}.py]",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_runs(attack, canary, capsys):
    Path("evil.yaml").write_text(HOSTILE[attack].replace("SHELL", canary.shell))
    refusal([*CE, "--config", "evil.yaml"], capsys)
    assert not Path("run").exists()


def test_a_refusal_says_how_to_bring_classes(canary, capsys):
    what, where, fix = refusal([*CE, "--model.losses", f'["{PLANTED}.Loss"]'], capsys)
    assert f"{PLANTED}.Loss" in what
    assert "losses" in where
    assert "--plugins" in fix


@pytest.mark.parametrize("option", ["--model.help", "--data.help", "--optimizer.help"])
def test_help_imports_nothing(option, canary, capsys):
    refusal([*CE, option, f"{PLANTED}.Model"], capsys)


@pytest.mark.parametrize(
    "flag",
    [
        "--config {}/evil.yaml",
        "--data {}/evil.yaml",
        "--ckpt_path {}/evil.ckpt",
        "--resume {}/run",
        "--model.teacher {}/teacher.yaml --model StudentEnsemble",
        "--model.teacher {}/teacher.ckpt --model StudentEnsemble",
        "--pretrained.weights {}/weights.pth",
        "--trainer.default_root_dir {}/run",
        "--data FolderLT --data.root {}/images",
    ],
)
def test_nothing_is_fetched(flag, canary, web, capsys):
    address, asked = web
    refusal([*CE, *flag.format(address).split()], capsys)
    assert asked == []


@pytest.mark.parametrize(
    "yaml",
    [
        "ckpt_path: ADDRESS/x.ckpt",
        "ckpt_path: simplecache::ADDRESS/x.ckpt",
        "ckpt_path: hf://someone/something",
        "ckpt_path: registry:someone/something",
        "ckpt_path: memory://x.ckpt",
        "ckpt_path: s3://bucket/x.ckpt",
        "pretrained: {weights: ADDRESS/x.pth}",
        "data: ADDRESS/x.yaml",
        "trainer: {default_root_dir: ADDRESS/run}",
        "trainer: {callbacks: [{class_path: ModelCheckpoint, init_args: {dirpath: ADDRESS/x}}]}",
        "trainer: {profiler: {class_path: SimpleProfiler, init_args: {dirpath: ADDRESS/x, filename: x}}}",
    ],
)
def test_nothing_is_fetched_or_sent_for_a_file(yaml, canary, web, capsys):
    address, asked = web
    Path("evil.yaml").write_text(yaml.replace("ADDRESS", address))
    refusal([*CE, "--config", "evil.yaml"], capsys)
    assert asked == []


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
WIDE = f"a: &a [{', '.join(['1'] * 5_000)}]\nb: [{', '.join(['*a'] * 5_000)}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "aliases"),
        (WIDE, "aliases"),
        ("model: &a [*a]", "aliases"),
        ("model: &a {b: *a}", "aliases"),
        ("model: " + "[" * 1500, "nest"),
        ("[" * 1500 + "]" * 1500, "nest"),
        ("{a: " * 1500 + "}" * 1500, "nest"),
        ("seed_everything: 1 #" + "x" * 2**20, "bytes"),
        (b"seed_everything: \xff\xfe", "UTF-8"),
        (b"seed_everything: \0", "not allowed"),
        (b"\xff\xfes\0e\0", "UTF-8"),
    ],
    ids=[
        "aliases",
        "wide",
        "loop",
        "map loop",
        "open",
        "deep list",
        "deep map",
        "long",
        "bytes",
        "NUL",
        "UTF-16",
    ],
)
def test_a_malformed_file_is_refused_at_once(text, said, canary, capsys):
    Path("evil.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in refusal([*CE, "--config", "evil.yaml"], capsys)[0]


@pytest.mark.parametrize("name", ["folder", "pipe", "loop", "/dev/zero", "-", ""])
def test_what_is_no_file_is_refused_at_once(name, canary, capsys):
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    refusal([*CE, "--config", name], capsys)


@pytest.mark.parametrize("slot", ["data", "model", "optimizer"])
def test_a_pipe_is_not_waited_for_within_a_file(slot, canary, capsys):
    os.mkfifo("pipe")
    Path("evil.yaml").write_text(f"{slot}: pipe")
    refusal([*CE, "--config", "evil.yaml"], capsys)
    refusal([*CE, f"--{slot}", "pipe"], capsys)


PROFILER = "--trainer.profiler=lightning.pytorch.profilers.AdvancedProfiler"
SAVER = "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint"


@pytest.mark.parametrize(
    "flags",
    [
        ["--checkpoint.filename", "../outside"],
        ["--checkpoint.filename", "{elsewhere}/outside"],
        [SAVER, "--trainer.callbacks.dirpath={elsewhere}"],
        [SAVER, "--trainer.callbacks.dirpath=run/../elsewhere"],
        [PROFILER, "--trainer.profiler.dirpath={elsewhere}", "--trainer.profiler.filename=x"],
        [PROFILER, "--trainer.profiler.dirpath=run", "--trainer.profiler.filename=../x"],
    ],
)
def test_a_run_writes_into_its_own_folder_alone(flags, canary, tmp_path, capsys):
    flags = [flag.format(elsewhere=tmp_path / "elsewhere") for flag in flags]
    lines = refusal([*CE, *flags, "--trainer.default_root_dir", "run"], capsys)
    assert "a run writes into its own folder alone" in lines[0]
    assert not (tmp_path / "elsewhere").exists()
    assert not list(Path().glob("outside*"))


@pytest.mark.parametrize("text", ["data: " + "eyJaaaaaaaa-" * 25_000, "a: [" + "1, " * 2_000_000 + "1]"])
def test_a_long_file_is_looked_through_at_once(text, canary, capsys):
    Path("evil.yaml").write_text(text)
    begin = time.process_time()
    refusal([*CE, "--config", "evil.yaml"], capsys)
    assert time.process_time() - begin < 5


def test_numbers_are_numbers():
    assert read_yaml("{a: 1e2, b: 1e-3, c: 5.0e-4, d: .5}") == {"a": 100.0, "b": 0.001, "c": 0.0005, "d": 0.5}


def test_what_is_known_may_be_named(tmp_path, capsys):
    """The same file with allowed classes is understood."""
    (tmp_path / "own.yaml").write_text(
        "trainer: {callbacks: [{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: x}}],"
        "profiler: lightning.pytorch.profilers.SimpleProfiler, strategy: lightning.pytorch.strategies.DDPStrategy}\n"
        "lr_scheduler: lightning.pytorch.cli.ReduceLROnPlateau\noptimizer: {class_path: torch.optim.AdamW}\n"
        "data: {init_args: {mix: {class_path: torchvision.transforms.v2.CutMix, init_args: {alpha: 1.0}}}}\n"
    )
    with pytest.raises(SystemExit) as stop:
        main([*CE, "--config", str(tmp_path / "own.yaml"), "--lr_scheduler.monitor", "x", "--print_config"])
    assert stop.value.code == 0
    assert "CutMix" in capsys.readouterr().out
