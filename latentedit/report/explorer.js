document.querySelectorAll("form.explore").forEach(form => {
  const data = JSON.parse(document.getElementById(form.dataset.faces).textContent);
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const whole = text => new Int16Array(bytes(text).buffer);
  const MISSING = -32768, PAGE = 15, wanted = data.wanted * data.scale.effect;
  const edits = data.edits.map(([entrant, task, identity, leakage, effect, reached]) => ({
    entrant, task, faces: data.faces[task], identity: whole(identity), leakage: whole(leakage), effect: whole(effect), reached: bytes(reached),
  }));
  const editors = data.entrants.length - data.controls;
  const last = data.faces.reduce((most, faces) => faces.reduce((a, b) => Math.max(a, b), most), 0);
  const members = data.groups.map(group => {
    const flags = new Uint8Array(last + 1);
    group.faces.forEach(face => { flags[face] = 1; });
    return flags;
  });
  const groupsOf = Array.from({ length: last + 1 }, (_, face) => members.flatMap((flags, at) => flags[face] ? [at] : []));
  const { task, entrant, group, order, facet, failures, more } = form.elements;
  const [head] = form.getElementsByTagName("thead"), [body] = form.getElementsByTagName("tbody"), said = form.querySelector("[aria-live]");
  let count = PAGE;
  const make = (tag, text, kind) => Object.assign(document.createElement(tag), { textContent: text, className: kind || "" });
  const value = (edit, i, name) => edit[name][i] === MISSING ? null : edit[name][i] / data.scale[name];
  const text = (number, digits) => number === null || Number.isNaN(number) ? "–" : number.toFixed(digits);
  const percent = number => number === null ? "–" : `${Math.round(100 * number)} %`;
  const chosen = edit =>
    (task.value === "" || edit.task === Number(task.value)) &&
    (entrant.value === "" ? edit.entrant < editors : edit.entrant === Number(entrant.value));
  const each = (visit, within) => {
    const missed = failures.checked;
    edits.filter(chosen).forEach(edit => {
      const { faces, reached } = edit;
      for (let i = 0; i < faces.length; i += 1)
        if (!(missed && reached[i]) && (!within || within[faces[i]])) visit(edit, i);
    });
  };
  const keys = {
    identity: (edit, i) => edit.identity[i] === MISSING ? 65535 : edit.identity[i] - MISSING,
    leakage: (edit, i) => edit.leakage[i] === MISSING ? 65535 : 32767 - edit.leakage[i],
    effect: (edit, i) => edit.effect[i] === MISSING ? 65535 : Math.round(65534 - Math.min(65534, Math.abs(edit.effect[i] - wanted))),
    face: (edit, i) => edit.faces[i],
  };
  const first = () => {
    const key = keys[order.value], within = group.value === "" ? null : members[group.value];
    const bins = new Uint32Array(65536);
    let all = 0, missed = 0;
    each((edit, i) => { bins[key(edit, i)] += 1; all += 1; missed += edit.reached[i] ? 0 : 1; }, within);
    let end = 0;
    for (let seen = 0; end < 65535 && (seen += bins[end]) < count; end += 1);
    const found = [];
    each((edit, i) => { const at = key(edit, i); if (at <= end) found.push([at, edit, i]); }, within);
    found.sort((a, b) => a[0] - b[0]);
    return { all, missed, found: found.slice(0, count) };
  };
  const picture = (edit, i, editor) => {
    const grid = document.querySelector(`.faces[data-task="${CSS.escape(data.tasks[edit.task])}"]`);
    const place = grid && grid.querySelector(`[data-row="${edit.faces[i]}"]`);
    const shown = place && grid.querySelector(`[data-editor="${CSS.escape(editor)}"][data-face="${place.dataset.face}"] img`);
    const cell = document.createElement("td");
    if (shown) cell.append(shown.cloneNode());
    return cell;
  };
  const heads = names => {
    const row = document.createElement("tr");
    row.append(...names.map(name => Object.assign(make("th", name), { scope: "col" })));
    head.replaceChildren(row);
  };
  const drawFaces = () => {
    const { all, missed, found } = first();
    said.textContent = `${all.toLocaleString("en")} edited ${form.dataset.many}; ${missed.toLocaleString("en")} did not reach the change.`;
    heads([form.dataset.one, "task", "editor", "identity", "leakage", "achieved", "reached", "before", "after"]);
    body.replaceChildren(...found.map(([, edit, i]) => {
      const row = document.createElement("tr"), name = data.entrants[edit.entrant];
      const cells = [edit.faces[i], data.tasks[edit.task], name, text(value(edit, i, "identity"), 3), text(value(edit, i, "leakage"), 2), percent(value(edit, i, "effect"))];
      row.append(...cells.map(cell => make("td", cell)), make("td", edit.reached[i] ? "yes" : "not reached", edit.reached[i] ? "" : "alarm"), picture(edit, i, "unedited"), picture(edit, i, name));
      return row;
    }));
    more.hidden = found.length >= all;
  };
  const add = (row, identity, leakage, reached) => {
    row.faces += 1;
    if (!reached) { row.missed += 1; return; }
    row.leakage += leakage;
    if (identity === MISSING) return;
    row.known += 1;
    row.identity += identity;
    if (identity < row.lowest) row.lowest = identity;
  };
  const sums = () => {
    const grouped = facet.value === "group", names = { task: data.tasks, entrant: data.entrants, group: data.groups.map(one => one.name) };
    const rows = names[facet.value].map(name => ({ name, faces: 0, missed: 0, known: 0, identity: 0, lowest: 32767, leakage: 0 }));
    each(({ task, entrant, faces, identity, leakage, reached }, i) => {
      if (!grouped) add(rows[facet.value === "task" ? task : entrant], identity[i], leakage[i], reached[i]);
      else for (const at of groupsOf[faces[i]]) add(rows[at], identity[i], leakage[i], reached[i]);
    }, grouped || group.value === "" ? null : members[group.value]);
    return rows.filter(row => row.faces).map(row => ({
      ...row, identity: row.identity / data.scale.identity, leakage: row.leakage / data.scale.leakage, worst: row.known ? row.lowest / data.scale.identity : null,
    }));
  };
  const drawMeans = () => {
    const rows = sums().sort((a, b) => a.identity / (a.known || 1) - b.identity / (b.known || 1));
    said.textContent = `${rows.length} rows, lowest identity first; means over the ${form.dataset.many} that reached the change.`;
    heads([form.querySelector(`option[value="${facet.value}"]:checked`).textContent.replace("means by ", ""), `edited ${form.dataset.many}`, "not reached", "mean identity", "worst identity", "mean leakage"]);
    body.replaceChildren(...rows.map(row => {
      const line = document.createElement("tr"), reached = row.faces - row.missed;
      const cells = [row.name, row.faces, row.missed, text(row.known ? row.identity / row.known : null, 3), text(row.worst, 3), text(reached ? row.leakage / reached : null, 2)];
      line.append(...cells.map(cell => make("td", cell)));
      return line;
    }));
    more.hidden = true;
  };
  const draw = () => { if (facet.value) drawMeans(); else drawFaces(); };
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("change", () => { count = PAGE; draw(); });
  more.addEventListener("click", () => { count += 60; draw(); });
  form.hidden = false;
  draw();
});
