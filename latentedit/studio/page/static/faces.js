// The gallery of images, and their map.

import { get } from "./requests.js";

const COLOURS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

export class Gallery {
  constructor(bench, choose) {
    this.sheet = bench.sheet;
    this.faces = bench.bank.faces;
    this.noun = bench.subject.one;
    this.choose = choose;
    this.start = 0;
    this.place = document.getElementById("gallery");
    document.getElementById("gallery-back").addEventListener("click", () => this.turn(-1));
    document.getElementById("gallery-next").addEventListener("click", () => this.turn(1));
    this.show();
  }

  turn(way) {
    const next = this.start + way * this.sheet.faces;
    if (next < 0 || next >= this.faces) return;
    this.start = next;
    this.show();
  }

  show() {
    const { faces, columns, pixels } = this.sheet;
    const last = Math.min(this.start + faces, this.faces);
    const made = [];
    for (let index = this.start; index < last; index += 1) {
      const at = index - this.start;
      const face = document.createElement("button");
      face.type = "button";
      face.className = "face";
      face.dataset.index = index;
      face.setAttribute("aria-label", `${this.noun} ${index}`);
      face.style.backgroundImage = `url(/api/faces/${this.start})`;
      face.style.backgroundPosition = `${-(at % columns) * pixels}px ${-Math.floor(at / columns) * pixels}px`;
      face.addEventListener("click", () => this.choose(index));
      made.push(face);
    }
    this.place.replaceChildren(...made);
    document.getElementById("gallery-place").textContent = `${this.start} to ${last - 1} of ${this.faces}`;
    document.getElementById("gallery-back").disabled = this.start === 0;
    document.getElementById("gallery-next").disabled = last >= this.faces;
  }

  mark(index) {
    for (const face of this.place.children)
      face.setAttribute("aria-pressed", String(Number(face.dataset.index) === index));
  }
}

export class FaceMap {
  constructor(choose) {
    this.canvas = document.getElementById("map");
    this.colour = document.getElementById("map-colour");
    this.way = document.getElementById("map-way");
    this.chosen = null;
    this.way.addEventListener("change", () => this.load());
    this.colour.addEventListener("change", () => this.draw());
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      const at = [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
      if (this.points) choose(this.nearest(at));
    });
  }

  async load() {
    const way = this.way.value;
    const legend = document.getElementById("map-legend");
    legend.textContent = "computing …";
    try {
      const { points, columns } = await get(`/api/map/${way}`);
      if (way === this.way.value) Object.assign(this, { points, columns });
      this.draw();
    } catch (error) {
      legend.textContent = error.message;
    }
  }

  mark(index) {
    this.chosen = index;
    this.draw();
  }

  nearest([x, y]) {
    const margin = 0.04;
    const far = this.points.map(([u, v]) =>
      (margin + (1 - 2 * margin) * u - x) ** 2 + (1 - margin - (1 - 2 * margin) * v - y) ** 2);
    return far.indexOf(Math.min(...far));
  }

  draw() {
    if (!this.points) return;
    const values = this.columns[this.colour.value];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.strokeStyle = getComputedStyle(document.body).color;
    pen.lineWidth = 0.6;
    const place = ([u, v]) => [width * (0.04 + 0.92 * u), height * (0.96 - 0.92 * v)];
    this.points.forEach((point, i) => {
      pen.fillStyle = shade((values[i] - low) / (high - low || 1));
      pen.beginPath();
      pen.arc(...place(point), 4.5, 0, 7);
      pen.fill();
      pen.stroke();
    });
    if (this.chosen !== null && this.chosen < this.points.length) {
      pen.lineWidth = 2.5;
      pen.beginPath();
      pen.arc(...place(this.points[this.chosen]), 9, 0, 7);
      pen.stroke();
    }
    const text = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");
    document.getElementById("map-legend").textContent = `dark ${text(low)}, bright ${text(high)}`;
  }
}

function shade(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (COLOURS.length - 1);
  const [a, b] = [COLOURS[Math.floor(at)], COLOURS[Math.floor(at) + 1]];
  const mixed = a.map((part, k) => Math.round(part + (b[k] - part) * (at % 1)));
  return `rgb(${mixed})`;
}
