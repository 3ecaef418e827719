"""The sections of a model card, each of a run's own files."""

import math
from collections import Counter
from typing import Any

import yaml

from lt_lightning.finished.comparison import Spread
from lt_lightning.finished.origin import method_of, name_of
from lt_lightning.finished.pairing import read_per_image
from lt_lightning.finished.run import Measured, Run
from lt_lightning.finished.tables import duration
from lt_lightning.run_folder import PER_IMAGE

TITLES = {
    "acc": "accuracy, all images",
    "acc_many": "accuracy, many-shot classes",
    "acc_medium": "accuracy, medium-shot classes",
    "acc_few": "accuracy, few-shot classes",
    "bal_acc": "accuracy, mean over classes",
    "macro_f1": "F1, mean over classes",
}
EXTREMES = 5
"""Best and worst classes that are named."""
COARSE = 30
"""Images below which an accuracy has no two digits."""
NAMES = 20
"""Classes that are named as what a model tells apart."""


def front_matter(run: Run, measured: Measured, licence_of_weights: str | None) -> str:
    """What the hub reads: tags, licence, and figures in full."""
    metrics = [
        {"type": "f1" if name == "macro_f1" else "accuracy", "name": title, "value": measured.figures[name]}
        for name, title in TITLES.items()
        if math.isfinite(measured.figures.get(name, math.nan))
    ]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": run.summary["data"], "type": run.summary["data"].lower(), "split": _split(measured)},
        "metrics": metrics,
    }
    head: dict[str, Any] = {
        "library_name": "lt_lightning",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "long-tailed-recognition", "class-imbalance", "pytorch-lightning"],
        "metrics": ["accuracy", "f1"],
    }
    if licence_of_weights:
        head["license"] = licence_of_weights
    head["model-index"] = [{"name": _name(run), "results": [result]}]
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---"


def title(run: Run) -> str:
    """What it is."""
    counts = _counts(run)
    span = f", from {max(counts):,} to {min(counts):,} images a class" if counts else ""
    lines = [
        f"# {_name(run)}",
        f"An image classifier, trained by lt_lightning on the long-tailed set {run.summary['data']}{span}.",
    ]
    if method := method_of(run):
        lines.append(f"Method: {_text(method.name)}. {_text(method.idea[0].upper() + method.idea[1:])}")
    members = run.summary["losses"]
    network = ((run.config.get("model") or {}).get("init_args") or {}).get("backbone")
    parts = [
        f"module {run.summary['model']}, {'losses' if len(members) > 1 else 'loss'} {', '.join(members)}",
        f"network {network}" if network else "",
        f"{run.summary['params'] / 1e6:,.2f} M parameters, {run.summary['macs'] / 1e6:,.1f} M multiply-accumulates an "
        "image, of what is used to predict",
    ]
    return "\n\n".join([*lines, *(f"- {part}" for part in parts if part)]).replace("\n\n- ", "\n- ")


def intended_use(run: Run) -> str:
    """What it can be used for, and not."""
    names = [_text(row["name"]) for row in _classes(run)]
    listed = ", ".join(names[:NAMES]) + (f" and {len(names) - NAMES} more" if len(names) > NAMES else "")
    kinds = f"{len(names)} classes: {listed}" if names else "the classes of its training data"
    return (
        "## Intended use\n\n"
        f"It tells apart {kinds}. It is for images like those it was trained on; on others it was not measured. "
        "It names one of its classes for any image, also for one that shows none of them. "
        "For rare classes, look at the figures below before its word is taken for a decision."
    )


def data(run: Run, measured: Measured) -> str:
    """How many images, by shot group."""
    rows = []
    classes = _classes(run)
    tested = _tested(run, measured)
    for group in run.summary["groups"]:
        of_group = [int(row["train_images"]) for row in classes if row["group"] == group]
        members = [int(row["class"]) for row in classes if row["group"] == group]
        if of_group:
            images = f"{sum(tested[c] for c in members):,}" if tested else "not stated"
            span = f"{max(of_group):,} to {min(of_group):,}"
            rows.append([group, str(len(of_group)), f"{sum(of_group):,}", span, images])
    counts = _counts(run)
    text = f"## Data\n\n{run.summary['data']}, {run.summary['train_images']:,} training images."
    if counts and min(counts) > 0:
        text += f" The largest class has {max(counts) / min(counts):,.0f} times the images of the smallest."
    elif counts:
        text += f" {sum(count == 0 for count in counts)} classes have no training image."
    if rows:
        header = ["classes", "number", "training images", "of a class", f"{_split(measured)} images"]
        text += "\n\n" + _table(header, rows)
    return text


def figures(run: Run, measured: Measured) -> str:
    """Accuracy by group, the best and the worst classes, calibration."""
    known_figures = {name: value for name, value in measured.figures.items() if math.isfinite(value)}
    said = [[title, f"{100 * known_figures[n]:.2f} %"] for n, title in TITLES.items() if n in known_figures]
    chosen = " (the epoch with the best validation)" if measured.checkpoint == "best" else ""
    text = f"## Figures\n\nOf `{measured.checkpoint}.ckpt`{chosen}, on {_split(measured)} images."
    if measured.split == "val":
        text += " It was not measured on test images."
    text += "\n\n" + _table(["figure", "value"], said)
    known = [row for row in run.classes_of(measured.split) if math.isfinite(float(row["acc"]))]
    ranked = sorted(known, key=lambda row: -float(row["acc"]))
    if len(ranked) > 2 * EXTREMES:
        ranked = [*ranked[:EXTREMES], *ranked[-EXTREMES:]]
        text += f"\n\nThe {EXTREMES} classes it knows best and the {EXTREMES} it knows worst:"
    elif ranked:
        text += "\n\nEach class:"
    if ranked:
        rows = [[_text(r["name"]), r["train_images"], r["group"], f"{100 * float(r['acc']):.2f} %"] for r in ranked]
        text += "\n\n" + _table(["class", "training images", "group", "accuracy"], rows)
    if absent := len(run.classes_of(measured.split)) - len(known):
        text += f"\n\n{absent} classes have no {_split(measured)} image: their accuracy was not measured."
    ece, nll = (known_figures.get(name) for name in ("ece", "nll"))
    calibration = [
        f"expected calibration error {100 * ece:.2f} % (15 bins of equal width)" if ece is not None else "",
        f"negative log-likelihood {nll:.4f} nats" if nll is not None else "",
    ]
    of_these = " and ".join(filter(None, calibration))
    what = f"Of the probabilities as the model gives them: {of_these}." if of_these else "It was not measured."
    return f"{text}\n\n### Calibration\n\n{what}"


def training(run: Run) -> str:
    """Configuration, seed, versions, devices, time."""
    trainer, environment = run.config.get("trainer") or {}, run.environment
    arguments = (run.config.get("data") or {}).get("init_args") or {}
    versions = environment.get("versions") or {}
    facts = {
        "seed": run.summary["seed"],
        "epochs": trainer.get("max_epochs"),
        "batch": _batch(arguments.get("batch_size"), environment.get("processes")),
        "optimiser": _with_arguments(run.config.get("optimizer"), ("lr", "momentum", "weight_decay", "nesterov")),
        "schedule": _with_arguments(run.config.get("lr_scheduler"), ("warmup", "milestones", "gamma")),
        "precision": trainer.get("precision"),
        "time": duration(Spread(run.seconds, None)) if run.seconds is not None else None,
        "device": _device(environment),
        "versions": ", ".join(
            f"{name} {versions[name]}" for name in ("python", "torch", "lightning") if name in versions
        ),
        "lt_lightning": " ".join(filter(None, [versions.get("lt-lightning"), _commit(environment)])),
    }
    for first in run.trained_first():
        kind = first.folder.name.replace("_", " ")
        time = f", {duration(Spread(first.seconds, None))}" if first.seconds is not None else ""
        size = f"{first.summary['params'] / 1e6:,.2f} M parameters"
        facts[f"trained before: {kind}"] = f"{', '.join(first.summary['losses'])}; {size}{time}"
    rows = [[name, _text(str(value))] for name, value in facts.items() if value not in (None, "")]
    text = "## How it was trained\n\n" + _table(["what", "how"], rows)
    if run.config:
        text += "\n\nThe whole configuration is in `config.yaml` and in the checkpoint; `lt reproduce` trains it again."
    return text


def limits(run: Run, measured: Measured) -> str:
    """What a reader must not overlook."""
    said, found = [], measured.figures
    ends = [name for name in ("acc_many", "acc_few") if math.isfinite(found.get(name, math.nan))]
    if len(ends) == 2:
        many, few = (100 * found[name] for name in ends)
        said.append(
            f"Of images of few-shot classes {few:.2f} % are right, of those of many-shot classes {many:.2f} %: "
            f"{abs(many - few):.2f} points {'less' if few <= many else 'more'}."
        )
    tested, rare = _tested(run, measured), [r for r in _classes(run) if r["group"] == "few"]
    if tested and rare:
        least = min(tested[int(row["class"])] for row in rare)
        if least < COARSE:
            said.append(f"A few-shot class has as few as {least} {_split(measured)} images: its figure is coarse.")
    if measured.selected_on_test:
        said.append("Selected on test: the epoch was chosen by these very test images, so figures are too good.")
    elif measured.split == "val" and (run.summary["val"].get("selected_on") == "test"):
        said.append("The validation images are the test images of this set.")
    said.append("Figures are of one run with one seed; how much another seed changes was not measured.")
    said.append("Images of other sources, damaged images and attacks were not measured.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in said)


def use(measured: Measured) -> str:
    """Commands."""
    file = f"{measured.checkpoint}.ckpt"
    return (
        "## How to use it\n\nWhere lt_lightning is installed:\n\n```bash\n"
        f"lt predict IMAGES --ckpt_path {file} -o predictions.csv\n"
        f"lt export --ckpt_path {file} --format onnx\n"
        f"lt test --ckpt_path {file}\n"
        "```"
    )


def licence(of_weights: str | None) -> str:
    """Of the code, which is known, and of the weights, which is their owner's to say."""
    weights = (
        f"Weights: {of_weights}." if of_weights else "For the weights no licence was stated; ask who trained them."
    )
    return f"## Licence\n\nCode: Apache-2.0. {weights} The terms of the training images stay with their owners."


def citation(run: Run) -> str:
    """The paper of the method, as its configuration names it; nothing where there is none."""
    method = method_of(run)
    if method is None or "http" not in method.paper:
        return ""
    return f"## Citation\n\n{method.name}: {method.paper}"


def _name(run: Run) -> str:
    return run.folder.resolve().name


def _split(measured: Measured) -> str:
    return "test" if measured.split == "test" else "validation"


def _classes(run: Run) -> list[dict[str, str]]:
    """Classes in label order, whatever split they stand in."""
    return run.classes_of("test") or run.classes_of("val")


def _counts(run: Run) -> list[int]:
    return [int(row["train_images"]) for row in _classes(run)]


def _tested(run: Run, measured: Measured) -> Counter[int] | None:
    """Images of each class; None where the run does not say."""
    found = read_per_image(run.folder / PER_IMAGE) if measured.split == "test" else None
    return Counter(found[0].tolist()) if found else None


def _batch(size: Any, processes: Any) -> str | None:
    if size is None:
        return None
    return f"{size} images" + (f" on each of {processes} processes" if processes not in (None, 1) else "")


def _with_arguments(part: Any, names: tuple[str, ...]) -> str | None:
    if not isinstance(part, dict):
        return None
    given = part.get("init_args") or {}
    values = ", ".join(f"{name} {given[name]}" for name in names if given.get(name) not in (None, False))
    return f"{name_of(part)}, {values}" if values else name_of(part)


def _device(environment: dict[str, Any]) -> str | None:
    """The accelerator that was used, by its names; None where the run does not say."""
    used = environment.get("accelerator")
    return used if used == "cpu" else ", ".join(environment.get("devices") or []) or used


def _commit(environment: dict[str, Any]) -> str | None:
    commit = environment.get("commit")
    return f"(commit {commit[:12]})" if isinstance(commit, str) else None


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _text(text: str) -> str:
    """Text of others, such as a class's name, that formats nothing here."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in text)
