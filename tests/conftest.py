"""One thread a process, and no deadlines: results must not depend on the machine or its load."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for processes that tests start

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from telling_runs import Told

MEMORY, ROOM = "/dev/shm", 4 << 30
"""A file system in memory, and how much of it has to be free."""

torch.set_num_threads(1)
if (
    os.access(MEMORY, os.W_OK)
    and shutil.disk_usage(MEMORY).free > ROOM
    and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC  # some tests run what they write
):
    # every file that is written is flushed, which takes a disk longer than most tests
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts background jobs so, and what tests start would ignore interrupts too
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")

collect_ignore = ["toy_unimportable.py"]


@pytest.fixture(scope="session")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The run of `telling_world.SUITE`."""
    from telling_runs import suite_run

    return suite_run(tmp_path_factory)


@pytest.fixture(scope="session")
def telling_photos(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The run of `telling_world.PHOTO_SUITE` on photographs."""
    from telling_runs import photo_run

    return photo_run(tmp_path_factory)


HERE = Path(__file__).parent
FIRST = (
    *("resume", "run_keys", "unfinished", "torture", "faults", "ray", "studio_page", "rescore"),
    *("pages", "wheel", "spaces", "out_of_tree", "processes", "site", "contract"),
    *("synthface_net", "mutation_driver", "inert", "telling_figures"),
)
"""The files that take longest. If one began last, one process would run it while others wait."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, whatever the order of the others."""
    assert all((HERE / f"test_{name}.py").exists() for name in FIRST), "a file of FIRST has moved"
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in FIRST)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end, so that no search for garbage looks at them."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test of a module with `LEAVES_ALONE` ends with equal values of that function.

    The two are compared around the call alone: between the phases of a test others reset seeds.
    """
    surroundings = getattr(pyfuncitem.module, "LEAVES_ALONE", None)
    before = surroundings() if surroundings else {}
    result = yield
    after = surroundings() if surroundings else {}
    assert not {name for name in before if before[name] != after[name]}
    return result
