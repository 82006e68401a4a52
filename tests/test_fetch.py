"""Downloads from a server on this machine: resumed, checked, and whole or not there."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import toy_networks
from click.testing import CliRunner
from file_server import Served, serving

from latentedit import CorruptArtefact, EnvironmentFault, InputError, Registry, UnknownName
from latentedit.cli.main import cli
from latentedit.downloads.cache import cache_folder, fetch
from latentedit.downloads.catalogue import PublishedNetwork, published_networks
from latentedit.downloads.http import ATTEMPTS, Request, download

DATA = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
LIMIT = 10_000_000


@pytest.fixture
def server() -> Iterator[Served]:
    with serving(Served(DATA)) as served:
        yield served


def get(served: Served, folder: Path, *, limit: int = LIMIT, **known: object) -> Path:
    path = folder / "network.pkl"
    request = Request(served.url, limit, **known)  # type: ignore[arg-type]
    assert download(request, path, pause=0) == hashlib.sha256(path.read_bytes()).hexdigest()
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_download_is_the_file_and_nothing_else(server: Served, tmp_path: Path) -> None:
    path = get(server, tmp_path, size=len(DATA), sha256=SHA256)
    assert path.read_bytes() == DATA
    assert files(tmp_path) == ["network.pkl"]


def test_a_cut_connection_goes_on_where_it_was_cut(server: Served, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 500_000]
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == DATA
    ranges = [part for _, part in server.asked]
    assert ranges == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_later_call_goes_on_too(server: Served, tmp_path: Path) -> None:
    server.cuts = [700_000] + [0] * ATTEMPTS
    with pytest.raises(EnvironmentFault, match="it continues from there"):
        get(server, tmp_path)
    assert files(tmp_path) == ["network.pkl.part", "network.pkl.part.json"]
    server.cuts, server.asked = [], []
    assert get(server, tmp_path).read_bytes() == DATA
    assert [part for _, part in server.asked] == ["bytes=700000-"]
    assert files(tmp_path) == ["network.pkl"]


def test_a_file_that_changed_meanwhile_begins_again(server: Served, tmp_path: Path) -> None:
    server.cuts = [700_000] + [0] * ATTEMPTS
    with pytest.raises(EnvironmentFault):
        get(server, tmp_path)
    server.cuts, server.etag, server.data = [], '"two"', DATA[::-1]
    assert get(server, tmp_path).read_bytes() == DATA[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_tag_a_cut_begins_again(
    server: Served, tmp_path: Path, etag: str | None
) -> None:
    server.etag, server.cuts = etag, [700_000]
    assert get(server, tmp_path).read_bytes() == DATA
    assert [part for _, part in server.asked] == [None, None]


def test_a_server_without_ranges_begins_again(server: Served, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [700_000]
    assert get(server, tmp_path).read_bytes() == DATA


def test_a_finished_part_is_only_checked_and_moved(server: Served, tmp_path: Path) -> None:
    (tmp_path / "network.pkl.part").write_bytes(DATA)
    record = {"url": server.url, "validator": server.etag}
    (tmp_path / "network.pkl.part.json").write_text(json.dumps(record))
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == DATA
    assert [part for _, part in server.asked] == [f"bytes={len(DATA)}-"]


def test_a_part_of_another_address_is_not_gone_on_with(server: Served, tmp_path: Path) -> None:
    (tmp_path / "network.pkl.part").write_bytes(b"something else")
    record = {"url": "https://example.invalid/x", "validator": server.etag}
    (tmp_path / "network.pkl.part.json").write_text(json.dumps(record))
    assert get(server, tmp_path).read_bytes() == DATA


def test_another_hash_keeps_nothing_and_leaves_what_was_there(
    server: Served, tmp_path: Path
) -> None:
    (tmp_path / "network.pkl").write_bytes(b"old")
    with pytest.raises(CorruptArtefact, match=f"has sha256 {SHA256}, expected {'0' * 64}"):
        get(server, tmp_path, sha256="0" * 64)
    assert files(tmp_path) == ["network.pkl"]
    assert (tmp_path / "network.pkl").read_bytes() == b"old"


@pytest.mark.parametrize("length", [None, 0])
def test_a_file_that_is_too_large_is_refused(
    server: Served, tmp_path: Path, length: int | None
) -> None:
    server.length = length
    with pytest.raises(CorruptArtefact, match="at most 1,000,000 bytes"):
        get(server, tmp_path, limit=1_000_000)
    assert files(tmp_path) == []


def test_a_file_of_another_size_is_refused(server: Served, tmp_path: Path) -> None:
    with pytest.raises(CorruptArtefact, match="has 3,000,000 bytes, expected 3,000,001"):
        get(server, tmp_path, size=3_000_001)


def test_a_file_without_a_length_arrives(server: Served, tmp_path: Path) -> None:
    server.length = 0
    assert get(server, tmp_path).read_bytes() == DATA


def test_redirects_are_followed_a_few_times(server: Served, tmp_path: Path) -> None:
    server.redirects = {"/network.pkl": "/else", "/else": "/there"}
    server.cuts = [1_000]
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.asked[-1] == ("/there", "bytes=1000-")
    server.redirects["/there"] = "/network.pkl"
    with pytest.raises(InputError, match="more than 5 times"):
        get(server, tmp_path)


@pytest.mark.parametrize(
    "target", ["http://example.invalid/x", "ftp://127.0.0.1/x", "file:///etc/hostname"]
)
def test_redirects_to_what_is_not_secure_are_refused(
    server: Served, tmp_path: Path, target: str
) -> None:
    server.redirects = {"/network.pkl": target}
    with pytest.raises((InputError, EnvironmentFault)):
        get(server, tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize("target", ["http://example.invalid/x", "http://127.0.0.1/x"])
def test_https_never_becomes_http(tmp_path: Path, target: str) -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(302, headers={"Location": target})

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    with pytest.raises(InputError, match=f"redirects to {re.escape(target)}, which is not https"):
        download(Request("https://example.invalid/a", LIMIT), tmp_path / "a", client=client)
    assert asked == ["https://example.invalid/a"]


def test_an_address_without_https_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not https"):
        download(Request("http://example.invalid/a", LIMIT), tmp_path / "a")
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (404, {}, "answered 404 Not Found"),
        (503, {}, "answered 503"),
        (206, {}, "without a valid Content-Range"),
        (206, {"Content-Range": "bytes 5-9/10"}, "answered from byte 5, not 0"),
        (200, {"Content-Encoding": "gzip"}, "compressed"),
    ],
)
def test_strange_answers_are_refused(
    server: Served, tmp_path: Path, status: int, headers: dict[str, str], told: str
) -> None:
    server.status, server.headers = status, headers
    with pytest.raises(EnvironmentFault, match=told):
        get(server, tmp_path)
    assert files(tmp_path) == []


def test_nobody_answering_is_an_environment_fault(tmp_path: Path) -> None:
    with serving(Served(DATA)) as gone:
        pass
    with pytest.raises(EnvironmentFault, match=f"failed {ATTEMPTS} times in a row"):
        get(gone, tmp_path)
    assert files(tmp_path) == []


def test_two_at_once_are_refused(server: Served, tmp_path: Path) -> None:
    path = tmp_path / "network.pkl"

    def second(fraction: float, message: str) -> None:
        with pytest.raises(EnvironmentFault, match="another process is downloading"):
            get(server, tmp_path)

    download(Request(server.url, LIMIT), path, second)
    assert path.read_bytes() == DATA


def network(served: Served, sha256: str | None = None) -> PublishedNetwork:
    return PublishedNetwork(
        served.url, 3, "a licence of its own", "noise", "reader", sha256=sha256, source="this test"
    )


def offer(monkeypatch: pytest.MonkeyPatch, name: str, network: PublishedNetwork) -> None:
    """Let the command know this network and no other."""
    monkeypatch.setitem(toy_networks.NETWORKS, name, network)
    registry = Registry()
    registry.add(toy_networks.plugin, "networks")
    monkeypatch.setattr(Registry, "discover", staticmethod(lambda: registry))


def test_the_first_download_is_trusted_and_later_ones_compared(
    server: Served, tmp_path: Path
) -> None:
    first = fetch("noise", network(server), tmp_path)
    assert (first.sha256, first.downloaded) == (SHA256, True)
    assert "trusted" in first.basis
    again = fetch("noise", network(server), tmp_path)
    assert (again.downloaded, again.path) == (False, first.path)
    first.path.unlink()
    server.data = DATA[::-1]
    with pytest.raises(CorruptArtefact, match=f"expected {SHA256}"):
        fetch("noise", network(server), tmp_path)
    assert files(tmp_path) == ["fetched.json"]


def test_a_cached_file_that_changed_is_refused(server: Served, tmp_path: Path) -> None:
    path = fetch("noise", network(server, SHA256), tmp_path).path
    path.write_bytes(DATA[:-1])
    with pytest.raises(CorruptArtefact, match="it was changed"):
        fetch("noise", network(server, SHA256), tmp_path)


def test_the_cache_is_where_the_platform_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "latentedit"


@pytest.mark.parametrize("name", published_networks(Registry.discover()))
def test_the_table_is_sound(name: str) -> None:
    found = Registry.discover().load("network", name)
    Registry.discover().find("weight-importer", found.importer)
    assert found.url.startswith("https://")
    assert found.file.endswith((".pkl", ".pt"))
    assert "non-commercial" in found.licence
    assert found.sha256 is None or (re.fullmatch("[0-9a-f]{64}", found.sha256) and found.source)
    assert found.size is None or round(found.size / 1e6) == found.megabytes
    with pytest.raises(UnknownName, match="did you mean"):
        Registry.discover().load("network", f"{name}x")


def test_the_command_shows_size_and_licence_and_asks(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "noise", network(server, SHA256))
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(cli, ["fetch", "noise", "--out", "W"])
    assert isinstance(refused.exception, InputError)
    assert "add --yes" in str(refused.exception)
    for told in ("about 3 MB", SHA256, "a licence of its own", server.url):
        assert told in refused.output
    assert (server.asked, files(tmp_path)) == ([], [])
    done = CliRunner().invoke(cli, ["fetch", "noise", "--out", "W", "--yes"])
    assert done.exit_code == 0, done.output
    assert "latentedit import W/noise/network.pkl --as reader" in done.output.replace("\n", "")
    told = CliRunner().invoke(cli, ["fetch", "noise", "--out", "W", "--json"])
    assert json.loads(told.stdout)["sha256"] == SHA256


def test_the_command_lists_what_there_is() -> None:
    listed = CliRunner().invoke(cli, ["fetch", "--json"])
    assert set(json.loads(listed.stdout)) == set(published_networks(Registry.discover()))
    shown = CliRunner().invoke(cli, ["fetch"])
    assert "stylegan2-ffhq" in shown.output
