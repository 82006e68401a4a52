"""Latency of the studio's sliders, and the load that its server bears.

    python benchmarks/studio.py -- runs/quickstart --editor A --editor B

What follows ``--`` are arguments of ``latentedit studio``. A headless Chromium moves a slider and
waits until all pictures are painted. Inside is the time of editing, synthesis and judging, which
the server tells; outside is the rest. The load average stands beside every figure, since the time
depends on it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from studio_visit import browser, served, settled, visited

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
    while (document.body.dataset.shown !== wanted) await painted();
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
    parser.add_argument("studio", nargs="+", help="arguments of latentedit studio")
    given = parser.parse_args()
    begun = time.perf_counter()
    with served(given.studio) as (address, process), browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        visited(page, address)
        show("start to usable page", {"seconds": round(time.perf_counter() - begun, 1)})
        show("slider to painted pictures", latencies(page, given.attribute, given.moves))
        before = resident(process)
        show("slider flood", flood(page, given.attribute, given.flood_seconds, before, process))
        show("clients that come and go", clients(address, given.clients, given.attribute, process))


def show(what: str, figures: dict[str, Any]) -> None:
    print(json.dumps({"what": what, **figures, "load": round(os.getloadavg()[0], 1)}), flush=True)


def latencies(page: Any, attribute: str, moves: int) -> dict[str, float]:
    low, high = limits(page, attribute)
    values = [round(low + (high - low) * (i * 0.382 % 1), 2) for i in range(1, moves + 4)]
    found = page.evaluate(LATENCIES, [attribute, values])
    taken, inside = found["taken"][3:], found["inside"][3:]  # the first ones warm up
    outside = [total - part for total, part in zip(taken, inside, strict=True)]
    return {
        "moves": len(taken),
        "median_ms": round(statistics.median(taken), 1),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
        "inside_median_ms": round(statistics.median(inside), 1),
        "outside_median_ms": round(statistics.median(outside), 1),
    }


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
    """Clients that begin, ask for five changes, and end or just leave."""
    place = urlsplit(address).netloc

    def visit(i: int) -> list[int]:
        link = http.client.HTTPConnection(place, timeout=600)
        status, body = post(link, "/api/sessions", {})
        room, found = f"/api/sessions/{body.get('room')}", [status]
        for value in range(5):
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
