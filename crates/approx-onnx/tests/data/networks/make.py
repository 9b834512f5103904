#!/usr/bin/env python3
"""Writes narrow versions of six networks of torchvision as ONNX files, and what ONNX Runtime computes by them.

    python3 make.py [FOLDER]        # where to write: beside this file by default

Needs torch, torchvision, onnx, onnxscript and onnxruntime. Each is torchvision's own network, in which every layer was replaced by
one of a fraction of its channels, for images of 3 x 32 x 32 and ten classes. Weights are random, and running statistics are those of
random images, so that activations stay within bounds as in a trained network.
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from torch import nn

CLASSES = 10
SHAPE = (3, 32, 32)
BATCH = 7
# The most channels, so that the widest layers do not make up most of a file.
MOST_CHANNELS = 24


@dataclass(frozen=True)
class Narrow:
    """A network of torchvision, and which part of its channels is kept."""

    name: str
    divisor: int
    # Whether PyTorch's older exporter writes it, which names nodes by modules, instead of the newer one, which names weights.
    older: bool


NETWORKS = [
    Narrow("mobilenet_v2", 16, older=False),
    Narrow("efficientnet_b0", 24, older=False),
    Narrow("vgg16", 32, older=True),
    Narrow("alexnet", 32, older=True),
    Narrow("resnet18", 32, older=True),
    Narrow("resnet50", 32, older=False),
]


def images(count: int) -> np.ndarray:
    """Images that look random, each with more contrast than the one before, and that other programs can compute, too."""
    places = np.arange(count * math.prod(SHAPE), dtype=np.int64)
    levels = ((places * 7919 + 13) % 97).reshape(count, *SHAPE)
    contrasts = np.arange(1, count + 1, dtype=np.float32).reshape(count, 1, 1, 1) / np.float32(2)
    return (levels.astype(np.float32) / np.float32(97) - np.float32(0.5)) * contrasts


def narrowed(model: nn.Module, divisor: int) -> nn.Module:
    """The network with a fraction of its channels."""

    def width(channels: int) -> int:
        return min(MOST_CHANNELS, max(2, math.ceil(channels / divisor)))

    # Where a classifier sees several positions, one is left of images of this size.
    pooling = getattr(model, "avgpool", None)
    positions = 1
    if isinstance(pooling, nn.AdaptiveAvgPool2d) and isinstance(pooling.output_size, tuple):
        positions = math.prod(pooling.output_size)
        model.avgpool = nn.AdaptiveAvgPool2d(1)
    linears = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Conv2d):
            inputs = layer.in_channels if layer.in_channels == SHAPE[0] else width(layer.in_channels)
            outputs = width(layer.out_channels)
            new = nn.Conv2d(
                inputs,
                outputs,
                layer.kernel_size,
                # AlexNet's stride of 4 leaves too little of a small image.
                1 if layer.stride == (4, 4) else layer.stride,
                layer.padding,
                groups=inputs if layer.groups > 1 else 1,
                bias=layer.bias is not None,
            )
            nn.init.kaiming_normal_(new.weight, mode="fan_out" if layer.groups > 1 else "fan_in")
        elif isinstance(layer, nn.BatchNorm2d):
            # Channels that hardly vary would be amplified, and rounding with them.
            new = nn.BatchNorm2d(width(layer.num_features), eps=0.01)
            nn.init.uniform_(new.weight, 0.5, 1.0)
            nn.init.uniform_(new.bias, -0.5, 0.5)
            if name.endswith("bn3"):
                # Many branches that add as much as what passes by them would amplify rounding as well.
                new.weight.data *= 0.3
        elif isinstance(layer, nn.Linear):
            inputs = layer.in_features // positions if name == linears[0] else layer.in_features
            outputs = CLASSES if name == linears[-1] else width(layer.out_features)
            new = nn.Linear(width(inputs), outputs)
            if name != linears[-1]:
                nn.init.kaiming_normal_(new.weight)
        else:
            continue
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, new)
    return model


def network(narrow: Narrow) -> nn.Module:
    torch.manual_seed(1)
    model = narrowed(getattr(torchvision.models, narrow.name)(weights=None, num_classes=1000), narrow.divisor)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            # The average of all batches.
            layer.momentum = None
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    model.train()
    with torch.no_grad():
        for _ in range(8):
            model(torch.randn(64, *SHAPE) * 0.5)
    return model.eval()


def export(narrow: Narrow, model: nn.Module, path: Path) -> None:
    example = torch.from_numpy(images(2))
    names = {"input_names": ["images"], "output_names": ["logits"]}
    if narrow.older:
        torch.onnx.export(
            model, example, path, dynamo=False, opset_version=17, dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}}, **names
        )
    else:
        batch = torch.export.Dim("batch")
        program = torch.onnx.export(model, example, dynamo=True, opset_version=18, dynamic_shapes=({0: batch},), **names)
        # What the exporter says of where it was called is no part of the network.
        proto = program.model_proto
        for node in proto.graph.node:
            del node.metadata_props[:]
        for value in [*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
            del value.metadata_props[:]
        del proto.graph.metadata_props[:]
        del proto.metadata_props[:]
        proto.graph.ClearField("value_info")
        path.write_bytes(proto.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path), full_check=True)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    expected = {}
    for narrow in NETWORKS:
        model = network(narrow)
        path = folder / f"{narrow.name}.onnx"
        export(narrow, model, path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (outputs,) = session.run(["logits"], {"images": images(BATCH)})
        layers = [name for name, layer in model.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
        expected[narrow.name] = {"layers": layers, "logits": outputs.tolist()}
        own = model(torch.from_numpy(images(BATCH))).detach().numpy()
        print(
            f"{narrow.name}: {path.stat().st_size} bytes, {len(layers)} layers, outputs up to {np.abs(outputs).max():.3g},"
            f" varying by {outputs.std(axis=0).mean():.3g}, {np.abs(outputs - own).max():.3g} from PyTorch"
        )
    lines = [f'"{name}": {json.dumps(values)}' for name, values in expected.items()]
    (folder / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
