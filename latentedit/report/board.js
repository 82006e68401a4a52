document.querySelectorAll("form.filter").forEach(form => {
  const { text, world, editor, controls } = form.elements, said = form.querySelector("[aria-live]");
  const rows = [...document.querySelectorAll("table.figures tbody tr")].map(row => ({
    row, control: row.classList.contains("control"), ...row.dataset, told: Object.values(row.dataset).join(" ").toLowerCase(),
  }));
  const runs = [...document.querySelectorAll("section.run")];
  const draw = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean), shown = new Set();
    let count = 0;
    rows.forEach(one => {
      const chosen = (!world.value || one.world === world.value) && (!editor.value || one.name === editor.value) &&
        (controls.checked || !one.control) && words.every(word => one.told.includes(word));
      one.row.hidden = !chosen;
      if (chosen) { count += 1; shown.add(one.run); }
    });
    runs.forEach(run => { run.hidden = !shown.has(run.dataset.run); });
    said.textContent = `${count} of ${rows.length} rows, ${shown.size} of ${runs.length} runs`;
  };
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", draw);
  form.hidden = false;
  draw();
});
