#!/usr/bin/env python3
"""The float steps of the benchmark `training` in PyTorch on the CPU, as a report in the same form, for `--beside`.

    python3 training.py --json pytorch.json [--threads N] [--budget SECONDS] [FILTER]

Needs torch and torchvision. Float32, networks with random weights, plain SGD, the mean square of the outputs as the loss; in the
memory layout of PyTorch's default and with channels last, of which the faster one is reported.
"""

import argparse
import json
import statistics
import time
from typing import Callable

import torch
import torchvision
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut around them, as in `approx_models::ResidualBlock`."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            convolution = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.first_norm(self.first(x)), inplace=True)
        y = self.second_norm(self.second(y))
        return functional.relu(y + self.shortcut(x), inplace=True)


def resnet20(classes: int) -> nn.Module:
    """The network of `approx_models::ResNetConfig::small(20, classes)`."""
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    channels = 16
    for stage, width in enumerate([16, 32, 64]):
        for block in range(3):
            layers.append(Block(channels, width, 2 if stage > 0 and block == 0 else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


# Names as the Rust benchmark has them, networks, and the shapes of their images.
WORKS: list[tuple[str, Callable[[], nn.Module], tuple[int, ...]]] = [
    ("ResNet-20 32x32 batch 128 training step", lambda: resnet20(10), (128, 3, 32, 32)),
    (
        "MobileNetV2 32x32 batch 16 training step",
        lambda: torchvision.models.mobilenet_v2(num_classes=10),
        (16, 3, 32, 32),
    ),
    ("ResNet-18 224x224 batch 8 training step", lambda: torchvision.models.resnet18(num_classes=1000), (8, 3, 224, 224)),
]


def stepper(model: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = model(images).square().mean()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", required=True, help="where to write the report")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--budget", type=float, default=10.0, help="seconds to measure a network for, at least three rounds")
    parser.add_argument("filter", nargs="?", default="", help="only networks whose name contains this are run")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)

    lines = []
    for work, build, shape in WORKS:
        if arguments.filter not in work:
            continue
        steps = []
        for layout in (torch.contiguous_format, torch.channels_last):
            model = build().to(memory_format=layout).train()
            steps.append(stepper(model, torch.randn(shape).to(memory_format=layout)))
        seconds = [[] for _ in steps]
        begin = time.perf_counter()
        while len(seconds[0]) < 3 or time.perf_counter() - begin < arguments.budget:
            # Twice in a row, of which the second counts: its data are in the caches as if it ran alone.
            for step, times in zip(steps, seconds):
                step()
                start = time.perf_counter()
                step()
                times.append(time.perf_counter() - start)
        best = min(seconds, key=statistics.median)
        line = {
            "work": work,
            "case": f"PyTorch {torch.__version__}, float32",
            "threads": arguments.threads,
            "seconds": statistics.median(best),
            "fastest_seconds": min(best),
        }
        lines.append(line)
        print(f"{work:44} {line['seconds'] * 1e3:10.1f} ms  (fastest {line['fastest_seconds'] * 1e3:.1f})", flush=True)
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(lines, file, indent=2)


if __name__ == "__main__":
    main()
