document.querySelectorAll("form.pick").forEach(form => {
  const { tasks, metrics, rows } = JSON.parse(document.getElementById(form.dataset.comparisons).textContent);
  const { first, second } = form.elements, [head] = form.getElementsByTagName("thead");
  const [body] = form.getElementsByTagName("tbody"), [said] = form.getElementsByTagName("p");
  const cell = (tag, text, small, kind) => {
    const made = document.createElement(tag);
    made.textContent = text;
    made.className = kind || "";
    if (small) made.append(Object.assign(document.createElement("small"), { textContent: small }));
    return made;
  };
  const signed = value => Math.abs(value) < 0.0005 ? "0.000" : (value < 0 ? "" : "+") + value.toFixed(3);
  const find = (metric, task) => {
    for (const [a, b, t, m, difference, low, high, basis, leader, equivalent] of rows) {
      if (t !== task || m !== metric) continue;
      if (a === first.value && b === second.value) return { difference, low, high, basis, leader, equivalent };
      const turn = value => value === null ? null : -value;
      if (b === first.value && a === second.value) return { difference: -difference, low: turn(high), high: turn(low), basis, leader, equivalent };
    }
    return null;
  };
  const shown = found => {
    if (!found) return cell("td", "–");
    const kind = found.equivalent ? "equivalent" : found.leader === null ? "undecided" : found.leader === first.value ? "won" : "lost";
    const bounds = found.low === null ? "too few" : `${signed(found.low)} to ${signed(found.high)}`;
    return cell("td", signed(found.difference), `${bounds}, ${found.basis}`, kind);
  };
  const draw = () => {
    const same = first.value === second.value;
    said.textContent = same ? "Choose two different editors." : `${first.value} minus ${second.value}. ▲ yellow: ${first.value} is better, or with fewer than five fits ahead. ▼ grey: ${second.value} is. Single tasks are exploratory.`;
    const top = document.createElement("tr");
    top.append(cell("th", "metric"), ...tasks.map(task => cell("th", task)));
    head.replaceChildren(...(same ? [] : [top]));
    body.replaceChildren(...(same ? [] : metrics.map(([name, detail, higher], metric) => {
      const row = document.createElement("tr");
      row.append(cell("th", `${name}\u00a0${higher ? "↑" : "↓"}`, detail), ...tasks.map(task => shown(find(metric, task))));
      return row;
    })));
  };
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("change", draw);
  form.hidden = false;
  draw();
});
