"""One thread a process: tests run side by side, and results must not depend on the machine."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for processes that tests start

import torch

torch.set_num_threads(1)

collect_ignore = ["toy_unimportable.py"]
