"""Demonstration: import StyleGAN2 weights and run a suite, with the time of each step.

    python examples/stylegan_demo.py --out runs/stylegan

It writes a .pkl like NVIDIA's code, imports it, and runs a suite: a bank of codes, an SVM and a
flow fitted on them, edits by both, and a report. The network is small and random. The report shows
that every step works; its scores have no meaning.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from latentedit_stylegan.importing import import_network

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import pickles  # test code that writes the format from its description


@contextmanager
def timed(step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{step}: {time.perf_counter() - start:.1f} s", flush=True)


def suite(network: Path, n_fit: int, n_test: int) -> dict[str, object]:
    return {
        "name": "stylegan-demo",
        "summary": "an SVM and a flow edit the images of a random StyleGAN2 network",
        "bank": {
            "generator": {"plugin": "stylegan2", "options": {"path": str(network.resolve())}},
            "labeller": "synthface-labeller",
            "n_fit": n_fit,
            "n_test": n_test,
            "seed": 0,
        },
        "judge": "synthface-judge",
        "identity": ["synthface-identity-contrastive"],
        "editors": {
            "interfacegan": {"plugin": "interfacegan"},
            "styleflow": {"plugin": "styleflow"},
        },
        "tasks": [{"attribute": "age", "change": 5}, {"attribute": "yaw", "change": 5}],
        "strengths": [0.5, 1.0],
        "effects": [0.8],
        "seeds": [0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/stylegan"))
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--fit", type=int, default=500, help="images to fit on")
    parser.add_argument("--test", type=int, default=20, help="images to edit")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with timed("write a .pkl"):
        weights = pickles.random_network(
            resolution=asked.resolution, z_dim=64, w_dim=64, widths=(64, 64, 32, 32, 16, 8)
        )
        file = pickles.write(asked.out / "network.pkl", pickles.nvidia_pickle(weights))
    network = asked.out / "network"
    if not network.exists():
        with timed("import it"):
            print(import_network(file, network))
    path = asked.out / "suite.yaml"
    path.write_text(yaml.safe_dump(suite(network, asked.fit, asked.test), sort_keys=False))
    with timed("run the suite"):
        command = Path(sys.executable).parent / "latentedit"
        run = [str(command), "bench", "run", str(path), "--out", str(asked.out / "run")]
        code = subprocess.run(run, check=False).returncode  # noqa: S603  (our own command)
    sys.exit(code)


if __name__ == "__main__":
    main()
