// Controls of attributes, made from what the schema declares.

// As many digits as a tenth of a slider's step needs.
function number(value, step) {
  return Number(value.toFixed(Math.max(0, 1 - Math.floor(Math.log10(step))))).toString();
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function button(text, press) {
  const made = element("button", { type: "button", textContent: text });
  made.addEventListener("click", press);
  return made;
}

// A labelled slider; `moved` is called while it moves, `left` when it is let go.
function slider({ id, label, low, high, step, unit = "", moved, left }) {
  const input = element("input", { type: "range", id, min: low, max: high, step: "any" });
  const output = element("output");
  output.htmlFor = id;
  const show = (value) => {
    const at = unit ? `${number(value, step)} ${unit}` : number(value, step);
    input.value = value;
    output.textContent = at;
    input.setAttribute("aria-valuetext", at);
  };
  input.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    show(Math.min(high, Math.max(low, Number(input.value) + way * step)));
    left(Number(input.value));
  });
  input.addEventListener("input", () => { show(Number(input.value)); moved(Number(input.value)); });
  input.addEventListener("change", () => left(Number(input.value)));
  const row = element("div", { className: "row" },
    element("label", { htmlFor: id, textContent: label }), input, output);
  return { row, show };
}

// One control of an attribute. `moved` and `left` take its values, a list of numbers.
export function control(declared, moved, left) {
  return declared.size === 1 ? single(declared, moved, left) : vector(declared, moved, left);
}

function single(declared, moved, left) {
  const { name, low, high, unit, step, ends, named } = declared;
  const made = slider({
    id: identifier("slider", name), label: name, low, high, step, unit,
    moved: (value) => moved([value]), left: (value) => left([value]),
  });
  const box = element("div", { className: "control" }, made.row);
  const values = ends.length ? [[ends[0], [low]], [ends[1], [high]]] : Object.entries(named);
  if (values.length) box.append(choices(name, values, left));
  return { box, show: (numbers) => made.show(numbers[0]) };
}

function vector(declared, moved, left) {
  const { name, low, high, size, step, named, centre, axes } = declared;
  const now = { values: new Array(size).fill(0) };
  const box = element("fieldset", { className: "control" },
    element("legend", { textContent: name }));
  if (Object.keys(named).length) box.append(choices(name, Object.entries(named), left));
  const shown = axes.map((axis, i) => {
    const place = (x) => centre.map((middle, k) => {
      const others = axes.reduce((sum, other, j) =>
        sum + (j === i ? 0 : along(other, now.values, centre) * other.direction[k]), middle);
      return Math.min(high, Math.max(low, others + x * axis.direction[k]));
    });
    const made = slider({
      id: identifier("axis", name, i), label: `${from(axis.low)} … ${from(axis.high)}`, low: -1, high: 1, step: 0.1,
      moved: (x) => moved(place(x)), left: (x) => left(place(x)),
    });
    box.append(made.row);
    return () => made.show(Math.min(1, Math.max(-1, along(axis, now.values, centre))));
  });
  const parts = element("details", {}, element("summary", { textContent: `${size} components` }));
  const components = now.values.map((_, k) => {
    const changed = (value) => now.values.map((old, j) => (j === k ? value : old));
    const made = slider({
      id: identifier("component", name, k), label: `${name} ${k}`, low, high, step,
      moved: (value) => moved(changed(value)), left: (value) => left(changed(value)),
    });
    parts.append(made.row);
    return made;
  });
  box.append(parts);
  const show = (numbers) => {
    now.values = numbers;
    shown.forEach((axis) => axis());
    components.forEach((made, k) => made.show(numbers[k]));
  };
  return { box, show };
}

// "left-to-right" comes from left.
function from(name) {
  return `from ${name.split("-to-")[0]}`;
}

// Of an element; without spaces, which names may have.
function identifier(...parts) {
  return encodeURIComponent(parts.join("-"));
}

// Where `values` stand along an axis: ⟨v − centre, d⟩ / ⟨d, d⟩.
function along(axis, values, centre) {
  const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);
  const away = values.map((value, k) => value - centre[k]);
  return dot(away, axis.direction) / dot(axis.direction, axis.direction);
}

function choices(name, values, left) {
  const group = element("div", { className: "choices" });
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", `values of ${name}`);
  group.append(...values.map(([text, numbers]) => button(text, () => left(numbers))));
  return group;
}

export function options(select, names) {
  select.replaceChildren(...names.map((name) => element("option", { value: name, textContent: name })));
}

export function checkbox(text, checked, change) {
  const input = element("input", { type: "checkbox", checked });
  input.addEventListener("change", () => change(input));
  return { label: element("label", {}, input, ` ${text}`), input };
}
