#!/usr/bin/env python3
"""The float work of the benchmark `gpu` in PyTorch, as a report in the same form, to be joined with `--beside`.

    python3 benchmark.py --json pytorch.json [--size full|small] [--device cuda|cpu] [FILTER]

Needs torch and torchvision. Every work runs in float32 with and without TF32 and in float16, in the memory layout that PyTorch
prefers (channels last) and with cuDNN's search for the fastest kernel on. Networks have random weights; float16 means half-precision
weights in a forward pass, and automatic mixed precision with a scaled loss in a training step. `--device cpu` is to try the script out.
"""

import argparse
import datetime
import json
import math
import statistics
import time
from dataclasses import dataclass
from typing import Callable

import torch
import torchvision

CLASSES = 1000
# Names in reports of torchvision's networks.
NETWORKS = {"resnet18": "ResNet-18", "resnet50": "ResNet-50", "mobilenet_v2": "MobileNetV2"}
# Timing as in the Rust benchmark: pieces of work between two waits for the device.
WARM_UP = 3
SAMPLES = 5
SAMPLE_SECONDS = 0.02
MOST_PIECES = 16


@dataclass(frozen=True)
class Precision:
    """How floats are computed with."""

    name: str
    tf32: bool
    dtype: torch.dtype

    def select(self) -> None:
        torch.backends.cuda.matmul.allow_tf32 = self.tf32
        torch.backends.cudnn.allow_tf32 = self.tf32


PRECISIONS = [
    Precision("float32", False, torch.float32),
    Precision("float32, TF32", True, torch.float32),
    Precision("float16", False, torch.float16),
]


@dataclass(frozen=True)
class Size:
    """The sizes of the work, as in the Rust benchmark (`works.rs`), but for its small networks, which torchvision does not have."""

    product: int
    inference_batch: int
    batch: int
    side: int
    # As long as one case is measured, beyond the samples that are taken at least.
    budget_seconds: float


SIZES = {
    "full": Size(product=4096, inference_batch=128, batch=16, side=224, budget_seconds=2.0),
    "small": Size(product=128, inference_batch=2, batch=2, side=40, budget_seconds=0.0),
}


def measure(device: torch.device, budget_seconds: float, run: Callable[[], torch.Tensor]) -> dict:
    """Seconds of one run: median and fastest sample."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def sample(pieces: int) -> float:
        wait()
        start = time.perf_counter()
        results = [run() for _ in range(pieces)]
        wait()
        seconds = time.perf_counter() - start
        del results
        return seconds / pieces

    warm = min(sample(1) for _ in range(WARM_UP))
    pieces = min(MOST_PIECES, math.ceil(SAMPLE_SECONDS / warm))
    begin = time.perf_counter()
    seconds = []
    while len(seconds) < SAMPLES or time.perf_counter() - begin < budget_seconds and len(seconds) < 1000:
        seconds.append(sample(pieces))
    return {
        "seconds": statistics.median_high(seconds),
        "fastest_seconds": min(seconds),
        "samples": len(seconds),
    }


def multiplications(model: torch.nn.Module, images: torch.Tensor) -> int:
    """The multiplications of a forward pass in convolutions and fully connected layers."""
    count = 0

    def add(layer: torch.nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
        nonlocal count
        # A weight without its output channels is what one output is a sum over.
        count += output.numel() * layer.weight[0].numel()

    layers = (layer for layer in model.modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)))
    hooks = [layer.register_forward_hook(add) for layer in layers]
    with torch.inference_mode():
        model(images)
    for hook in hooks:
        hook.remove()
    return count


class Benchmark:
    """A run: a device, and the lines of the report."""

    def __init__(self, device: torch.device, budget_seconds: float, name_contains: str):
        self.device = device
        self.budget_seconds = budget_seconds
        self.name_contains = name_contains
        self.lines = []

    def selects(self, work: str) -> bool:
        return self.name_contains in work

    def line(self, work: str, precision: Precision, operations: int | None, run: Callable[[], torch.Tensor]) -> None:
        line = {
            "work": work,
            "case": precision.name,
            "operation": "multiplications",
            "operations": operations,
            **measure(self.device, self.budget_seconds, run),
        }
        self.lines.append(line)
        speed = f"{operations / line['seconds'] / 1e9:10.2f} G mult/s" if operations else ""
        print(f"{work:44} {precision.name:40} {line['seconds'] * 1e3:10.3f} ms {speed}", flush=True)

    def product(self, side: int) -> None:
        work = f"matmul {side}x{side}x{side}"
        if not self.selects(work):
            return
        for precision in PRECISIONS:
            precision.select()
            left, right = (torch.randn(side, side, device=self.device, dtype=precision.dtype) for _ in range(2))
            self.line(work, precision, side**3, lambda: left @ right)

    def network(self, name: str, batch: int, side: int) -> tuple[torch.nn.Module, torch.Tensor]:
        model = getattr(torchvision.models, name)(num_classes=CLASSES)
        model = model.to(self.device, memory_format=torch.channels_last)
        images = torch.randn(batch, 3, side, side, device=self.device)
        return model, images.to(memory_format=torch.channels_last)

    def forward(self, name: str, batch: int, side: int) -> None:
        work = f"{NETWORKS[name]} {side}x{side} batch {batch}, forward"
        if not self.selects(work):
            return
        for precision in PRECISIONS:
            precision.select()
            model, images = self.network(name, batch, side)
            model = model.eval().to(precision.dtype)
            images = images.to(precision.dtype)
            count = multiplications(model, images)
            with torch.inference_mode():
                self.line(work, precision, count, lambda: model(images))

    def training_step(self, name: str, batch: int, side: int) -> None:
        work = f"{NETWORKS[name]} {side}x{side} batch {batch}, training step"
        if not self.selects(work):
            return
        for precision in PRECISIONS:
            precision.select()
            model, images = self.network(name, batch, side)
            model.train()
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
            mixed = precision.dtype == torch.float16
            scaler = torch.amp.GradScaler(self.device.type, enabled=mixed)

            def step() -> torch.Tensor:
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(self.device.type, torch.float16, enabled=mixed):
                    logits = model(images)
                loss = logits.float().square().mean()
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                return loss.detach()

            self.line(work, precision, None, step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", required=True, help="where to write the report")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("filter", nargs="?", default="", help="only work whose name contains this is run")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here; --device cpu tries the script out")
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(1)

    size = SIZES[arguments.size]
    benchmark = Benchmark(device, size.budget_seconds, arguments.filter)
    benchmark.product(size.product)
    benchmark.forward("resnet18", size.inference_batch, size.side)
    for name in ["resnet50", "mobilenet_v2"]:
        benchmark.forward(name, size.batch, size.side)
        benchmark.training_step(name, size.batch, size.side)

    software = [f"PyTorch {torch.__version__}", f"torchvision {torchvision.__version__}"]
    if device.type == "cuda":
        software += [f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}"]
    report = {
        "software": software,
        "features": [],
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "processor",
        "emulated": device.type != "cuda",
        "runtime": device.type,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "size": arguments.size,
        "lines": benchmark.lines,
    }
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
