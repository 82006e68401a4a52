"""Latency of the studio's sliders, and the load that its server bears.

    python benchmarks/studio.py -- runs/quickstart --editor A --editor B
    python benchmarks/studio.py --json docs/results/studio.json -- runs/quickstart

What follows ``--`` are arguments of ``latentedit studio``. A headless Chromium moves a slider and
waits until all pictures are painted. Inside is the time of editing, synthesis and judging, which
the server tells; outside is the rest. The load average stands beside every figure, since wall time
depends on it. Processor time of server and browser for each move does not.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from studio_visit import browser, served, settled, visited

SHIPPED = Path(__file__).parent.parent / "docs" / "results" / "studio.json"
LATENCIES = """
async ([name, values]) => {
  const slider = document.getElementById(`slider-${name}`);
  const inside = [];
  const own = window.fetch;
  window.fetch = async (...given) => {
    const answer = await own(...given);
    answer.clone().json().then(({ pictures, judge_ms }) => inside.push(judge_ms +
      pictures.reduce((sum, picture) => sum + picture.edit_ms + picture.image_ms, 0)));
    return answer;
  };
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const taken = [];
  for (const value of values) {
    const begun = performance.now();
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
    const wanted = JSON.stringify({ [name]: value });
    await new Promise((done) => new MutationObserver((_, watch) => {
      if (document.body.dataset.shown !== wanted) return;
      watch.disconnect();
      done();
    }).observe(document.body, { attributes: true, attributeFilter: ["data-shown"] }));
    await painted();
    taken.push(performance.now() - begun);
    while (inside.length < taken.length) await painted();
  }
  window.fetch = own;
  return { taken, inside };
}
"""
FLOOD = """
async ([name, seconds, low, high]) => {
  const slider = document.getElementById(`slider-${name}`);
  let events = 0;
  const begun = performance.now();
  while (performance.now() - begun < 1000 * seconds) {
    const due = Math.floor(performance.now() - begun);  // one a millisecond
    for (; events < due; events += 1) {
      slider.value = low + (high - low) * Math.random();
      slider.dispatchEvent(new Event("input"));
    }
    await new Promise((done) => setTimeout(done, 5));
  }
  return { events, last: Number(slider.value) };
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--attribute", default="age")
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--flood-seconds", type=float, default=30)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("studio", nargs="+", help="arguments of latentedit studio")
    given = parser.parse_args()
    found: list[dict[str, Any]] = []

    def show(what: str, figures: dict[str, Any]) -> None:
        found.append({"what": what, **figures, "load": round(os.getloadavg()[0], 1)})
        print(json.dumps(found[-1]), flush=True)

    begun = time.perf_counter()
    with served(given.studio) as (address, process), browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        visited(page, address)
        show("start to usable page", {"seconds": round(time.perf_counter() - begun, 1)})
        figures = latencies(page, given.attribute, given.moves, process)
        show("slider to painted pictures", figures)
        before = resident(process)
        show("slider flood", flood(page, given.attribute, given.flood_seconds, before, process))
        show("clients that come and go", clients(address, given.clients, given.attribute, process))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def table() -> str:
    """Of the figures that the project ships, for its documentation."""
    start, moved, flooded, visited = json.loads(SHIPPED.read_text(encoding="utf-8"))
    rows = [
        ("from the command to a usable page", f"{start['seconds']:.1f} s"),
        (
            "from a slider's event to painted pictures, median",
            f"{moved['median_ms']:.0f} ms over {moved['moves']} moves",
        ),
        ("the same, 95th percentile", f"{moved['p95_ms']:.0f} ms"),
        (
            "of these outside of editing, synthesis and judging, median",
            f"{moved['outside_median_ms']:.0f} ms",
        ),
        (
            f"{flooded['events']:,} events in half a minute",
            f"{flooded['requests']} requests, the last value "
            f"{'is' if flooded['last_value_is_shown'] else 'is not'} shown, "
            f"memory {flooded['memory_growth']:+.1%}",
        ),
        (
            f"{visited['clients']} clients that come and go",
            f"{visited['answers'].get('200', 0)} of {sum(visited['answers'].values())} requests "
            f"answered, memory {visited['memory_growth']:+.1%}",
        ),
    ]
    lines = [f"| {what} | {figure} |" for what, figure in rows]
    return "\n".join(["| what | measured |", "|---|---|", *lines, "", _loads(found=(start, moved))])


def _loads(found: Iterable[dict[str, Any]]) -> str:
    loads = sorted({row["load"] for row in found})
    return f"Load of the machine with two cores: {' to '.join(f'{load:.1f}' for load in loads)}."


def latencies(page: Any, attribute: str, moves: int, process: int) -> dict[str, float]:
    low, high = limits(page, attribute)
    values = [round(low + (high - low) * (i * 0.382 % 1), 2) for i in range(1, moves + 4)]
    before = processor_ms(process)
    found = page.evaluate(LATENCIES, [attribute, values])
    server, others = (b - a for a, b in zip(before, processor_ms(process), strict=True))
    taken, inside = found["taken"][3:], found["inside"][3:]  # the first ones warm up
    outside = [total - part for total, part in zip(taken, inside, strict=True)]
    return {
        "moves": len(taken),
        "median_ms": round(statistics.median(taken), 1),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
        "inside_median_ms": round(statistics.median(inside), 1),
        "outside_median_ms": round(statistics.median(outside), 1),
        "server_processor_ms_a_move": round(server / len(values), 1),
        "browser_processor_ms_a_move": round(others / len(values), 1),
    }


def processor_ms(server: int) -> tuple[float, float]:
    """Processor time so far of the server, and of all other descendants of this process."""
    parents, spent = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        process = int(stat.parent.name)
        parents[process] = int(fields[1])
        spent[process] = 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def mine(process: int) -> bool:
        above = parents.get(process, 0)
        return above == os.getpid() or (above > 1 and mine(above))

    others = sum(ms for process, ms in spent.items() if process != server and mine(process))
    return spent[server], others


def flood(page: Any, attribute: str, seconds: float, before: int, process: int) -> dict[str, float]:
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    found = page.evaluate(FLOOD, [attribute, seconds, *limits(page, attribute)])
    settled(page)
    shown = json.loads(page.locator("body").get_attribute("data-shown"))
    return {
        "events": found["events"],
        "requests": len(asked),
        "last_value_is_shown": shown == {attribute: found["last"]},
        "memory_growth": round(resident(process) / before - 1, 3),
    }


def clients(address: str, count: int, attribute: str, process: int) -> dict[str, float]:
    """Clients that begin, ask for two changes, and end or just leave."""
    place = urlsplit(address).netloc

    def visit(i: int) -> list[int]:
        link = http.client.HTTPConnection(place, timeout=600)
        status, body = post(link, "/api/sessions", {})
        room, found = f"/api/sessions/{body.get('room')}", [status]
        for value in range(2):
            asked = {"action": "preview", "values": {attribute: 20.0 + value + i % 20}}
            found.append(post(link, room, asked)[0])
        if i % 2:
            link.request("POST", f"{room}/end")
        link.close()
        return found

    visit(0)
    before, begun = resident(process), time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        statuses = [status for found in pool.map(visit, range(count)) for status in found]
    return {
        "clients": count,
        "seconds": round(time.perf_counter() - begun, 1),
        "answers": {str(s): statuses.count(s) for s in sorted(set(statuses))},
        "memory_growth": round(resident(process) / before - 1, 3),
    }


def post(link: http.client.HTTPConnection, path: str, body: Any) -> tuple[int, Any]:
    link.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = link.getresponse()
    return answer.status, json.loads(answer.read() or b"{}")


def limits(page: Any, attribute: str) -> list[float]:
    slider = page.locator(f"#slider-{attribute}")
    return [float(slider.get_attribute(end)) for end in ("min", "max")]


def resident(process: int) -> int:
    """Bytes of memory of the server."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
