// The page: what the parts do together.

import { checkbox, control, options } from "./controls.js";
import { FaceMap, Gallery } from "./faces.js";
import { Pictures } from "./pictures.js";
import { Requests, get } from "./requests.js";

const by = (id) => document.getElementById(id);
const on = (id, event, what) => by(id).addEventListener(event, what);
const KEPT = "latentedit-session";

const pictures = new Pictures(by("pictures"));
const shown = new Map(); // the control of each attribute
let bench, gallery, map, state;

const requests = new Requests({
  async onAnswer(answer, job) {
    await pictures.show(answer.pictures, !answer.record);
    if (answer.record) settle(answer);
    document.body.dataset.shown = JSON.stringify(job.values ?? job.action);
  },
  onError(message) {
    alert(message);
    if (state) settle(state);
  },
  onGone: (message) => alert(message, true),
  onIdle: () => busy(false),
});

function ask(job) {
  busy(true);
  requests.push(job);
}

function busy(working) {
  by("status").textContent = working ? "working …" : "";
  document.body.dataset.busy = String(working);
}

function alert(message, again = false) {
  by("alert-text").textContent = message;
  by("alert-again").hidden = !again;
  by("alert").hidden = false;
}

// Show what an answer says of the session.
function settle(answer) {
  state = answer;
  let at = 0;
  for (const declared of bench.controls) {
    shown.get(declared.name).show(answer.values.slice(at, at + declared.size));
    at += declared.size;
  }
  by("undo").disabled = !answer.can_undo;
  by("redo").disabled = !answer.can_redo;
  by("reset").disabled = !answer.edits.length;
  by("match").value = answer.effect === null ? "" : String(answer.effect);
  by("edits").replaceChildren(...[answer.face, ...answer.edits].map((title) => {
    const row = document.createElement("li");
    row.textContent = title;
    return row;
  }));
  by("commands").textContent = answer.commands.join("\n");
  options(by("code"), answer.columns);
  const left = by("left").value;
  options(by("left"), answer.pictures.map((picture) => picture.title));
  if (pictures.cards.has(left)) by("left").value = left;
  pictures.setLeft(by("left").value);
  for (const input of by("columns").querySelectorAll("input"))
    input.checked = answer.columns.includes(input.value);
  const index = answer.record.face.kind === "bank" ? answer.record.face.index : null;
  if (index !== null) by("face").value = index;
  gallery.mark(index);
  map.mark(index);
  sessionStorage.setItem(KEPT, JSON.stringify(answer.record));
}

function layers() {
  if (by("preset").value) return by("preset").value;
  const boxes = [...by("rows").querySelectorAll("input")];
  const chosen = boxes.filter((box) => box.checked).map((box) => Number(box.value));
  return chosen.length === boxes.length ? null : chosen;
}

function change(action, name, values) {
  by("alert").hidden = true;
  const strength = Number(by("strength").value);
  ask({ action, values: { [name]: values.length === 1 ? values[0] : values }, strength, layers: layers() });
}

function makeControls() {
  for (const declared of bench.controls) {
    const { name } = declared;
    const made = control(declared,
      (values) => change("preview", name, values), (values) => change("edit", name, values));
    shown.set(name, made);
    by("sliders").append(made.box);
    pictures.units[name] = declared.unit;
  }
  const names = bench.controls.map((declared) => declared.name);
  options(by("transfer-attribute"), names);
  options(by("sweep"), bench.controls.filter((d) => d.size === 1).map((d) => d.name));
  by("layers").hidden = !bench.rows;
  for (let row = 0; row < bench.rows; row += 1) {
    const { label, input } = checkbox(String(row), true, () => {});
    input.value = row;
    by("rows").append(label);
  }
  options(by("preset"), ["", ...bench.presets]);
  by("preset").options[0].textContent = "none";
  for (const { name } of bench.editors) {
    const { label, input } = checkbox(name, false, compare);
    input.value = name;
    by("columns").append(label);
  }
}

function compare(box) {
  const inputs = [...by("columns").querySelectorAll("input")];
  const columns = inputs.filter((input) => input.checked).map((input) => input.value);
  if (columns.length < 1 || columns.length > bench.most_columns) {
    box.checked = !box.checked;
    alert(`One to ${bench.most_columns} editors are compared.`);
  } else ask({ action: "compare", columns });
}

function nameImages({ one, many }) {
  const named = (text) => text.replace("{one}", one).replace("{many}", many);
  for (const place of document.querySelectorAll("[data-text]"))
    place.textContent = named(place.dataset.text);
  for (const place of document.querySelectorAll("[data-label]"))
    place.setAttribute("aria-label", named(place.dataset.label));
}

function makeFaces() {
  const choose = (index) => ask({ action: "choose", index });
  gallery = new Gallery(bench, choose);
  map = new FaceMap(choose);
  by("face").max = by("transfer-face").max = bench.bank.faces - 1;
  on("face", "change", () => choose(Number(by("face").value)));
  on("draw", "click", () => ask({ action: "seed", seed: Number(by("seed").value) }));
  by("sampling").hidden = !bench.samplers.length;
  options(by("sampler"), bench.samplers);
  on("sample", "click", () => ask({
    action: "sample", editor: by("sampler").value, seed: Number(by("seed").value), values: sliders(),
  }));
  by("photographs").hidden = !bench.photographs;
  on("photograph", "change", () => {
    const [file] = by("photograph").files;
    if (file) ask({ action: "photograph", file });
    by("photograph").value = "";
  });
}

// What all sliders show, within the ranges.
function sliders() {
  let at = 0;
  return Object.fromEntries(bench.controls.map(({ name, size, low, high }) => {
    const values = state.values.slice(at, at + size).map((v) => Math.min(high, Math.max(low, v)));
    at += size;
    return [name, size === 1 ? values[0] : values];
  }));
}

function makeStage() {
  for (const action of ["undo", "redo", "reset"]) on(action, "click", () => ask({ action }));
  on("match", "change", () => ask({ action: "match", effect: Number(by("match").value) || null }));
  on("mode", "change", () => {
    pictures.setMode(by("mode").value);
    by("wipe-row").hidden = by("mode").value !== "wipe";
  });
  on("left", "change", () => pictures.setLeft(by("left").value));
  on("wipe", "input", () => by("pictures").style.setProperty("--wipe", `${by("wipe").value}%`));
  on("strength", "input", () => { by("strength-value").textContent = by("strength").value; });
  on("transfer", "click", () => ask({
    action: "transfer", attribute: by("transfer-attribute").value, index: Number(by("transfer-face").value),
  }));
  on("alert-close", "click", () => { by("alert").hidden = true; });
  on("alert-again", "click", () => {
    by("alert").hidden = true;
    busy(true);
    requests.drain();
  });
}

function makeKeep() {
  on("save", "click", () => {
    const text = JSON.stringify(state.record, null, 2);
    download(new Blob([text], { type: "application/json" }), "session.json");
  });
  on("load", "change", async () => {
    const [file] = by("load").files;
    by("load").value = "";
    if (!file) return;
    try {
      ask({ action: "load", record: JSON.parse(await file.text()) });
    } catch {
      alert(`${file.name} is no saved session: it is not JSON.`);
    }
  });
  for (const kind of ["png", "gif", "mp4", "npy"]) on(`export-${kind}`, "click", () => save(kind));
}

async function save(kind) {
  busy(true);
  try {
    const wanted = { kind, attribute: by("sweep").value, column: by("code").value };
    download(await requests.export(wanted), `studio.${kind}`);
  } catch (error) {
    alert(error.message);
  }
  busy(false);
}

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function makeTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const set = (on) => {
    document.documentElement.dataset.theme = on ? "dark" : "light";
    by("theme").setAttribute("aria-pressed", String(on));
    if (map) map.draw();
  };
  set(dark);
  on("theme", "click", () => set(document.documentElement.dataset.theme !== "dark"));
}

async function start() {
  makeTheme();
  bench = await get("/api/bench");
  by("about").textContent =
    `${bench.bank.faces} ${bench.subject.many} of ${bench.bank.name}, drawn by ${bench.bank.generator}`;
  nameImages(bench.subject);
  pictures.noun = bench.subject.one;
  makeControls();
  makeFaces();
  makeStage();
  makeKeep();
  requests.record = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  try {
    ask({ action: "show" });
  } finally {
    options(map.colour, bench.controls.flatMap(({ name, size }) =>
      size === 1 ? [name] : Array.from({ length: size }, (_, k) => `${name}_${k}`)));
    await map.load();
  }
}

addEventListener("pagehide", () => requests.end());
start().catch((error) => alert(error.message));
