"""Banks at a URL: a record in the cache, and each shard when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import toy_editors
import yaml
from in_process import CommandLine
from moto.server import ThreadedMotoServer
from test_benchmark import SUITE
from toy import toy_registry

from latentedit import (
    CorruptArtefact,
    EnvironmentFault,
    InputError,
    LatentBank,
    cache_folder,
    evaluate,
    make_bank,
)
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.run_bank import copy_bank
from latentedit.benchmark.suite import parse_suite
from latentedit.data.bank import SHARD_ROWS

N = SHARD_ROWS + 40


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("bank") / "bank"
    return make_bank(
        toy_registry(), folder, generator="toy", labeller="toy-labeller", n_fit=50, n_test=N
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of an S3 server in this process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and the address of the server, as users set them: by environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture(params=["memory", "s3"])
def url(local: LatentBank, request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "s3":
        request.getfixturevalue("s3")
    store = fsspec.filesystem(request.param, skip_instance_cache=True)
    if request.param == "s3":
        store.mkdir("bucket")
    url = f"{request.param}://bucket/bank"
    store.put(str(local.folder), url, recursive=True)
    yield url
    store.rm(f"{request.param}://bucket", recursive=True)


def shards(cache: Path) -> set[str]:
    return {path.name for path in (cache / "shards").glob("*")}


def test_a_shard_is_fetched_when_it_is_read_and_only_once(
    local: LatentBank, url: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = LatentBank.open(url)
    assert bank.hash == local.hash
    assert not shards(cache)
    second = next(s for s in bank.shards if s["file"] == "test-00001.safetensors")
    part = bank.with_test(range(SHARD_ROWS, N)).split("test")
    assert part.codes.equal(local.split("test").codes[SHARD_ROWS:])
    assert shards(cache) == {second["sha256"]}
    assert bank.split("test").attributes.equal(local.split("test").attributes)
    monkeypatch.setattr(fsspec, "open", None)  # nothing is fetched again
    assert bank.split("test").codes.equal(local.split("test").codes)
    bank.with_test(range(5)).split("test")


def test_a_damaged_copy_is_fetched_again(local: LatentBank, url: str, cache: Path) -> None:
    bank = LatentBank.open(url)
    bank.verify()
    for copy in (cache / "shards").iterdir():
        copy.write_bytes(b"cut")
    assert bank.split("fit").codes.equal(local.split("fit").codes)


def test_a_changed_shard_is_refused(url: str, cache: Path) -> None:
    bank = LatentBank.open(url)
    with fsspec.open(f"{url}/fit-00000.safetensors", "wb") as file:
        file.write(b"other")
    with pytest.raises(CorruptArtefact, match="Upload it again"):
        bank.split("fit")
    assert not shards(cache)


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        ("memory://bucket/none", InputError, "there is no file memory://bucket/none/bank.json"),
        ("unheard-of://bucket", InputError, "Protocol not known"),
    ],
)
def test_a_store_that_does_not_have_it_is_named(
    place: str, error: type[Exception], said: str, cache: Path
) -> None:
    with pytest.raises(error, match=said):
        LatentBank.open(place)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportError("Install s3fs to access S3"), r"s3fs.*latentedit\[remote\]"),
        (OSError("refused"), "refused. Check the connection"),
    ],
)
def test_a_store_that_cannot_be_read_is_named(
    error: Exception, said: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(fsspec, "open", fails)
    with pytest.raises(EnvironmentFault, match=said):
        LatentBank.open("s3://bucket/bank")


def test_commands_take_a_url(local: LatentBank, url: str, cache: Path, tmp_path: Path) -> None:
    line = CommandLine(tmp_path, toy_registry)
    assert local.hash in line.ok("bank", "verify", url)
    assert local.hash in line.ok("bank", "show", url)


def test_cells_fetch_the_shards_that_they_read(local: LatentBank, url: str, cache: Path) -> None:
    found = [
        evaluate(
            bank,
            ["exact"],
            {"age": 10},
            judge="toy-judge",
            identity=[],
            controls=[],
            strengths=[0.5, 1.0],
            registry=toy_editors.registry(),
            shard=SHARD_ROWS,
        )
        for bank in (local, LatentBank.open(url))
    ]
    assert found[0].measures == found[1].measures
    assert shards(cache) == {shard["sha256"] for shard in local.shards}


def test_a_run_keeps_the_record_alone(
    local: LatentBank, url: str, cache: Path, tmp_path: Path
) -> None:
    run = RunFolder.claim(tmp_path / "run")
    copied = copy_bank(LatentBank.open(url), run, {})
    assert [path.name for path in run.bank.iterdir()] == ["bank.json"]
    assert (copied.root, copied.hash) == (url, local.hash)
    assert copied.split("fit").codes.equal(local.split("fit").codes)
    assert copy_bank(local, run, {}).hash == local.hash
    suite = parse_suite(yaml.safe_dump(SUITE | {"bank": {"path": url}}))
    assert suite.bank.hash == local.hash
