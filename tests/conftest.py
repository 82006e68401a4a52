"""One thread a process, and no deadlines: results must not depend on the machine or its load."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for processes that tests start

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")

collect_ignore = ["toy_unimportable.py"]
