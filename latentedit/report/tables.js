(() => {
  const value = (row, column) => {
    const cell = row.cells[column], number = cell.dataset.value;
    if (number !== undefined) return Number(number);
    return column && !cell.classList.contains("text") ? null : cell.textContent.trim();
  };
  const sort = (head, column) => {
    const body = head.closest("table").tBodies[0], current = head.getAttribute("aria-sort");
    const first = head.dataset.best === "high" ? "descending" : "ascending";
    const other = { ascending: "descending", descending: "ascending" };
    const order = current ? other[current] : first, sign = order === "ascending" ? 1 : -1;
    head.parentNode.querySelectorAll("th").forEach(th => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    body.append(...[...body.rows].sort((a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
    }));
  };
  document.querySelectorAll("table.sortable").forEach(table => {
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(head, column));
    });
  });
})();
