"""Where models compute: on the device that was asked for, with results where the inputs were."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from in_process import CommandLine
from torch import Tensor
from toy import toy_registry

from latentedit import (
    AttributeEstimator,
    AttributeSchema,
    Options,
    PluginFault,
    Registry,
    models_on,
)
from latentedit.plugin import PluginSpec, hookimpl

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
SCHEMA = AttributeSchema.from_json(
    [{"name": "bright", "kind": "continuous", "unit": "σ", "low": -1, "high": 1}]
)


class Watching(AttributeEstimator):
    """Remembers where its images were."""

    schema = SCHEMA
    fingerprint = "0" * 64
    Options = Options
    seen: ClassVar[list[str]] = []

    def __init__(self, options: Options | None = None) -> None:
        pass

    def estimate(self, images: Tensor) -> Tensor:
        self.seen.append(images.device.type)
        return images.flatten(1).mean(1, keepdim=True)


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    return [PluginSpec("estimator", "watching", "test_device:Watching", "remembers devices")]


@pytest.fixture
def watching() -> Any:
    import test_device

    test_device.Watching.seen.clear()
    plugin = SimpleNamespace(latentedit_plugins=latentedit_plugins, __name__="watching")
    return toy_registry(plugin).estimator("watching")


def test_inputs_are_moved_to_the_device(watching: Any) -> None:
    with models_on("meta"), pytest.raises(PluginFault, match="estimate"):
        watching.estimate(torch.zeros(2, 3, 4, 4))
    assert watching.seen == ["meta"]


def test_outside_models_compute_where_their_inputs_are(watching: Any) -> None:
    with models_on("cpu"):
        inside = watching.estimate(torch.ones(2, 3, 4, 4))
    assert torch.equal(watching.estimate(torch.ones(2, 3, 4, 4)), inside)
    assert watching.seen == ["cpu", "cpu"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "run", "quickstart", "--device", "cuda", "--out", "made"),
        ("bank", "make", "--generator", "toy", "--device", "cuda", "--out", "made"),
    ],
)
def test_a_device_that_is_not_there_ends_before_anything_is_made(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = CommandLine(tmp_path, Registry.discover)(*arguments)
    assert done.returncode == 3
    assert "no CUDA device was found; leave out --device cuda" in done.stderr
    assert not (tmp_path / "made" / "bank").exists()


@needs_cuda
def test_a_generator_and_a_judge_agree_with_the_cpu() -> None:
    registry = Registry.discover()
    world, judge = registry.generator("synthface"), registry.estimator("synthface-judge")
    w = world.sample(4, seed=0)
    images = world.synthesize(w)
    read = judge.estimate(images)
    with models_on("cuda"):
        again, read_again = world.synthesize(w), judge.estimate(images)
    assert again.device == images.device
    assert float((again - images).abs().mean()) < 1e-4
    assert torch.allclose(read_again, read, rtol=1e-3, atol=1e-3)
