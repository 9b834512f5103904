#!/usr/bin/env python3
"""Writes six networks of torchvision as ONNX files, for the benchmark `networks`.

    python3 export.py FOLDER

Needs torch, torchvision, onnx and onnxscript. Weights are random, the same in every run; images are 3 x 224 x 224, the batch is open,
and normalisation is as in evaluation, so that the exporter folds it into the convolutions.
"""

import sys
from pathlib import Path

import torch
import torchvision

NETWORKS = ["mobilenet_v2", "efficientnet_b0", "vgg16", "alexnet", "resnet18", "resnet50"]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        torch.manual_seed(1)
        model = getattr(torchvision.models, name)(weights=None).eval()
        path = folder / f"{name}.onnx"
        torch.onnx.export(
            model,
            torch.randn(2, 3, 224, 224),
            path,
            dynamo=True,
            opset_version=18,
            # One file with everything.
            external_data=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
        print(f"{path}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
