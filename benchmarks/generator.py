"""Speed of StyleGAN2 synthesis, against the network's own arithmetic and memory traffic.

    python benchmarks/generator.py --resolution 256 --batch 1 4

For each batch size: images a second of this project's synthesis (one convolution with weights that
the batch shares) and of the baseline (grouped convolutions with weights for each image, channels
first), beside two limits measured in the same run: the network's floating-point operations at the
speed of a large matrix product or convolution, and its smallest possible memory traffic at the
speed of a copy. "of limit" compares with the time of both, one after the other.
Ratios within one run mean something; figures of two machines do not, and a limit that is passed
means that others used the machine while it was measured.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, pad

from latentedit_stylegan.architecture import Architecture, Layer
from latentedit_stylegan.mapping import GAIN, SLOPE
from latentedit_stylegan.synthesis import FILTER, UP_GAIN, SynthesisNetwork

FULL_WIDTH = 512


@dataclass(frozen=True)
class Figures:
    """One row of the table.

    Args:
        ours, grouped: images a second.
        arithmetic, traffic: images a second that the machine's arithmetic and memory would allow.
        difference: largest between the images of the two.
    """

    batch: int
    ours: float
    grouped: float
    arithmetic: float
    traffic: float
    difference: float


def architecture(resolution: int, base: int) -> Architecture:
    sizes = [4 << i for i in range(int(math.log2(resolution)) - 1)]
    widths = {size: min(base // size, FULL_WIDTH) for size in sizes}
    return Architecture(z_dim=512, w_dim=512, mapping_layers=8, channels=widths)


def random_weights(of: Architecture, device: str) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(shape, generator=rng).to(device) for name, shape in of.shapes().items()
    }
    for layer in of.layers():
        weights[f"{layer.name}.affine.bias"].fill_(1.0)
    return weights


def operations(of: Architecture) -> float:
    """Floating-point operations of one image's synthesis: two for each multiply and add.

    An up-sampling convolution multiplies each input pixel with each of nine taps; its filter costs
    sixteen taps for each output.
    """
    total = 0.0
    for layer in of.layers():
        pixels = layer.resolution**2
        computed = pixels / 4 if layer.up else pixels
        total += 2 * layer.inputs * layer.outputs * layer.kernel**2 * computed
        total += 2 * 16 * layer.outputs * pixels * layer.up
        total += 2 * layer.inputs * of.w_dim
    return total


def traffic(of: Architecture, batch: int) -> float:
    """Bytes for one image if every layer read its input and weights once and wrote its output once,
    with everything else fused into it; weights are shared by the batch."""
    total = 0.0
    for layer in of.layers():
        pixels = layer.resolution**2
        inputs = layer.inputs * (pixels / 4 if layer.up else pixels)
        weights = layer.inputs * layer.outputs * layer.kernel**2 + layer.inputs * of.w_dim
        total += 4 * (inputs + layer.outputs * pixels + weights / batch)
    return total


class Grouped:
    """The baseline: kernels modulated and demodulated for each image, run as groups."""

    def __init__(self, of: Architecture, weights: dict[str, Tensor]) -> None:
        self.layers, self.weights = of.layers(), weights
        taps = torch.tensor(FILTER, device=weights["mapping.w_avg"].device) / sum(FILTER)
        self.filter = UP_GAIN * taps[:, None] * taps

    def __call__(self, styles: Tensor) -> Tensor:
        x = self.weights["synthesis.b4.const"].expand(len(styles), -1, -1, -1)
        image: Tensor | None = None
        parts = styles.split([layer.inputs for layer in self.layers], 1)
        for layer, style in zip(self.layers, parts, strict=True):
            if layer.to_rgb:
                rgb = self.convolve(x, style / math.sqrt(layer.inputs), layer, demodulate=False)
                rgb = rgb + self.weights[f"{layer.name}.bias"][:, None, None]
                image = rgb if image is None else self.doubled(image) + rgb
            else:
                x = self.convolve(x, style, layer, demodulate=True)
                noise = self.weights[f"{layer.name}.noise_const"]
                x = x + self.weights[f"{layer.name}.noise_strength"] * noise
                x = x + self.weights[f"{layer.name}.bias"][:, None, None]
                x = leaky_relu(x, SLOPE) * GAIN
        if image is None:
            raise RuntimeError("a network without RGB layers")
        return image

    def convolve(self, x: Tensor, style: Tensor, layer: Layer, demodulate: bool) -> Tensor:
        n = len(x)
        kernel: Tensor = self.weights[f"{layer.name}.weight"] * style[:, None, :, None, None]
        if demodulate:
            kernel = kernel * (kernel.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        flat = x.reshape(1, -1, *x.shape[2:])
        if layer.up:
            turned = kernel.transpose(1, 2).flatten(0, 1)
            y = conv_transpose2d(flat, turned, stride=2, groups=n)
            return self.filtered(y.reshape(n, -1, *y.shape[2:]), 1)
        y = conv2d(flat, kernel.flatten(0, 1), padding=layer.kernel // 2, groups=n)
        return y.reshape(n, -1, *y.shape[2:])

    def doubled(self, image: Tensor) -> Tensor:
        n, c, height, width = image.shape
        spread = image.new_zeros(n, c, height, 2, width, 2)
        spread[:, :, :, 0, :, 0] = image
        return self.filtered(pad(spread.reshape(n, c, 2 * height, 2 * width), (2, 1, 2, 1)), 0)

    def filtered(self, x: Tensor, padding: int) -> Tensor:
        channels = x.shape[1]
        return conv2d(x, self.filter.expand(channels, 1, 4, 4), padding=padding, groups=channels)


def seconds(run: Callable[[], object], device: str, repeats: int) -> float:
    """The best of `repeats`, after one to warm up."""
    best = math.inf
    for i in range(repeats + 1):
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        if i:
            best = min(best, time.perf_counter() - start)
    return best


def machine_speed(device: str, repeats: int) -> tuple[float, float]:
    """Operations a second of a large matrix product or convolution, whichever is faster (they are
    different libraries), and bytes a second of a copy (read and written)."""
    size = 2048 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device)
    b = torch.randn(64 << 20 if device == "cpu" else 512 << 20, dtype=torch.float32, device=device)
    c = torch.empty_like(b)
    product = 2 * size**3 / seconds(lambda: a @ a, device, repeats)
    x = torch.randn(2, 512, 64, 64, device=device).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(512, 512, 3, 3, device=device).contiguous(
        memory_format=torch.channels_last
    )
    work = 2 * x.numel() * 512 * 9
    convolution = work / seconds(lambda: conv2d(x, kernel, padding=1), device, repeats)
    return max(product, convolution), 2 * 4 * b.numel() / seconds(
        lambda: c.copy_(b), device, repeats
    )


@torch.no_grad()
def measure(
    of: Architecture, batches: list[int], device: str, repeats: int
) -> tuple[list[Figures], dict[str, float]]:
    weights = random_weights(of, device)
    ours, grouped = SynthesisNetwork(of, weights), Grouped(of, weights)
    before = machine_speed(device, repeats)
    timed = []
    for batch in batches:
        rng = torch.Generator().manual_seed(batch)
        styles = ours.styles(torch.randn(batch, of.num_ws, of.w_dim, generator=rng).to(device))
        expected = grouped(styles)
        error = ((ours(styles) - expected).abs().max() / expected.abs().max()).item()
        fast = batch / seconds(lambda s=styles: ours(s), device, repeats)  # type: ignore[misc]
        slow = batch / seconds(lambda s=styles: grouped(s), device, repeats)  # type: ignore[misc]
        timed.append((batch, fast, slow, error))
    flops, bandwidth = map(max, before, machine_speed(device, repeats))
    rows = [
        Figures(n, fast, slow, flops / operations(of), bandwidth / traffic(of, n), error)
        for n, fast, slow, error in timed
    ]
    facts = {
        "gigaoperations_an_image": operations(of) / 1e9,
        "machine_gigaoperations_a_second": flops / 1e9,
        "machine_gigabytes_a_second": bandwidth / 1e9,
    }
    return rows, facts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--base", type=int, default=32_768, help="feature maps × resolution")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.backends.cudnn.allow_tf32 = False
    of = architecture(asked.resolution, asked.base)
    rows, facts = measure(of, asked.batch, asked.device, asked.repeats)
    if asked.json:
        print(json.dumps({**vars(asked), **facts, "rows": [asdict(row) for row in rows]}, indent=2))
        return
    print(f"{asked.resolution} pixels, {asked.threads} threads, {asked.device}")
    for name, figure in facts.items():
        print(f"{name.replace('_', ' ')}: {figure:.1f}")
    print(f"{'batch':>5} {'ours/s':>8} {'grouped/s':>10} {'times':>6} {'arithmetic':>11} "
          f"{'traffic':>8} {'of limit':>9} {'difference':>11}")  # fmt: skip
    for row in rows:
        limit = 1 / (1 / row.arithmetic + 1 / row.traffic)
        print(
            f"{row.batch:5d} {row.ours:8.2f} {row.grouped:10.2f} {row.ours / row.grouped:6.2f} "
            f"{row.arithmetic:11.2f} {row.traffic:8.1f} {row.ours / limit:8.0%} "
            f"{row.difference:11.1e}"
        )


if __name__ == "__main__":
    main()
