document.querySelectorAll("figure.curves").forEach(figure => {
  const { effects, colours, panels } = JSON.parse(figure.querySelector("script").textContent);
  figure.querySelectorAll(".panel").forEach((panel, number) => {
    const tip = panel.querySelector(".tip"), values = panels[number];
    const left = Number(panel.dataset.left), right = Number(panel.dataset.right);
    let at = effects.length - 1;
    const show = index => {
      at = Math.max(0, Math.min(effects.length - 1, index));
      const rows = Object.entries(values).filter(([, line]) => line[at] !== null).sort((a, b) => b[1][at] - a[1][at]);
      const head = Object.assign(document.createElement("b"), { textContent: `at ${Math.round(100 * effects[at])} %` });
      tip.replaceChildren(head, ...rows.map(([name, line]) => {
        const row = document.createElement("div"), dot = document.createElement("span");
        dot.className = "dot";
        dot.style.background = colours[name];
        row.append(dot, `${name} ${line[at].toFixed(3)}`);
        return row;
      }));
      tip.hidden = false;
      const width = panel.querySelector("svg").clientWidth, x = width * (left + effects[at] * (right - left));
      tip.style.left = `${Math.max(0, Math.min(x + 8, panel.clientWidth - tip.offsetWidth))}px`;
    };
    panel.addEventListener("pointermove", event => {
      const box = panel.querySelector("svg").getBoundingClientRect();
      show(Math.round(((event.clientX - box.left) / box.width - left) / (right - left) * (effects.length - 1)));
    });
    panel.addEventListener("pointerleave", () => { tip.hidden = true; });
    panel.addEventListener("blur", () => { tip.hidden = true; });
    panel.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show(at + step);
    });
  });
});
