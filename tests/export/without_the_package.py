"""Runs exported files as someone does who has never heard of the package; saves what they say beside them.

Arguments: a folder of exported files and of ``NAME.npy``, the pixels for ``NAME.*``.
"""

import json
import sys
from pathlib import Path

sys.modules["lt_lightning"] = None  # importing it raises ImportError

import numpy as np  # noqa: E402


def run_onnx(file, pixels):
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    facts = session.get_modelmeta().custom_metadata_map
    return [session.run(["logits", "probabilities"], {"image": pixels[:batch]}) for batch in (1, 5)], facts


def run_pt2(file, pixels):
    import torch

    facts = {"labels": ""}  # torch reads extra files where it is given a dictionary with one at least
    model = torch.export.load(file, extra_files=facts).module()
    outputs = [model(torch.from_numpy(pixels[:batch])) for batch in (1, 5)]
    return [(out["logits"].numpy(), out["probabilities"].numpy()) for out in outputs], facts


def run_safetensors(file, pixels):
    """Experts of a torchvision network, whose state dicts torchvision's own network takes as they are."""
    import torch
    from safetensors import safe_open

    from_registry = torch.library.Library("torchvision", "FRAGMENT")  # a wheel without its compiled part needs this
    from_registry.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from_registry.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.models import get_model

    with safe_open(file, "pt") as opened:
        facts, weights = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    method, labels = json.loads(facts["method"]), json.loads(facts["labels"])
    experts = []
    for e in range(method["experts"]):
        parts = {"net.trunk.": "", f"net.branches.{e}.": "", f"net.classifiers.{e}.": "fc."}
        own = {
            name.replace(old, new): tensor
            for name, tensor in weights.items()
            for old, new in parts.items()
            if name.startswith(old)
        }
        expert = get_model(method["backbone"], num_classes=len(labels))
        expert.load_state_dict(own)
        experts.append(expert.eval())
    image = ((torch.from_numpy(pixels).float() - weights["mean"]) / weights["std"]).permute(0, 3, 1, 2)
    with torch.no_grad():
        outputs = [torch.stack([expert(image[:batch]) for expert in experts]).mean(0) for batch in (1, 5)]
    return [(logits.numpy(), logits.softmax(-1).numpy()) for logits in outputs], facts


RUN = {".onnx": run_onnx, ".pt2": run_pt2, ".safetensors": run_safetensors}

for path in sorted(Path(sys.argv[1]).iterdir()):
    if path.suffix in RUN:
        (one, five), facts = RUN[path.suffix](str(path), np.load(path.with_suffix(".npy")))
        np.savez(f"{path}.npz", one=one[0], five=five[0], probabilities=five[1])
        Path(f"{path}.json").write_text(
            json.dumps({name: json.loads(facts[name]) for name in ("labels", "calibration")})
        )
