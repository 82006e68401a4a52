(() => {
  const dialog = document.getElementById("face"), cards = dialog.querySelector(".cards");
  let grid = null, at = 0;
  const count = () => grid.querySelectorAll('[data-editor="unedited"]').length;
  const line = text => {
    const row = document.createElement("div");
    row.textContent = text;
    return row;
  };
  const card = cell => {
    const box = document.createElement("figure"), text = document.createElement("figcaption");
    const title = document.createElement("strong");
    title.textContent = cell.dataset.editor;
    text.append(title, ...cell.dataset.numbers.split("|").map(line));
    box.className = cell.classList.contains("failed") ? "failed" : "";
    box.append(cell.querySelector("img").cloneNode(), text);
    return box;
  };
  const show = number => {
    at = (number + count()) % count();
    dialog.querySelector("h2").textContent = `${grid.dataset.task}, ${grid.dataset.one} ${at + 1} of ${count()}`;
    cards.replaceChildren(...[...grid.querySelectorAll(`[data-face="${at}"]`)].map(card));
  };
  document.querySelectorAll(".faces .face button").forEach(button => button.addEventListener("click", () => {
    grid = button.closest(".faces");
    show(Number(button.parentNode.dataset.face));
    dialog.showModal();
  }));
  dialog.querySelectorAll("[data-turn]").forEach(button =>
    button.addEventListener("click", () => show(at + Number(button.dataset.turn))));
  dialog.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) show(at + step);
  });
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
})();
