// Pictures and what is read on them. All text goes in as text, never as markup.

const card = document.getElementById("card").content;

export class Pictures {
  constructor(place) {
    this.place = place;
    this.cards = new Map();
    this.pictures = [];
    this.mode = "plain";
    this.left = ""; // title of the column that a wipe shows on the left; the first one if empty
    this.units = {};
    this.noun = "image";
  }

  // While a slider moves, `part` of the pictures come; the others stay, marked as stale.
  async show(pictures, part) {
    this.pictures = pictures;
    const wanted = pictures.map((picture) => picture.title);
    const same = wanted.join("\n") === [...this.cards.keys()].join("\n");
    if (!same && !(part && wanted.every((title) => this.cards.has(title)))) this.deal(wanted);
    for (const [title, made] of this.cards) made.classList.toggle("stale", !wanted.includes(title));
    await Promise.all(pictures.map((picture) => this.fill(this.cards.get(picture.title), picture)));
    if (this.mode === "difference") await this.differences();
  }

  deal(titles) {
    this.cards = new Map(titles.map((title) => {
      const made = card.cloneNode(true).firstElementChild;
      made.dataset.title = title;
      Object.assign(made.querySelector(".title"), { textContent: title, title });
      return [title, made];
    }));
    this.place.replaceChildren(...this.cards.values());
    this.setMode(this.mode);
  }

  async fill(made, picture) {
    const after = made.querySelector(".after");
    const before = made.querySelector(".before");
    after.src = picture.image;
    after.alt = `${picture.title}: ${told(picture)}`;
    before.src = this.leftOne().image;
    const refused = made.querySelector(".refused");
    refused.hidden = !picture.refused;
    refused.textContent = picture.refused && `not edited: ${picture.refused}`;
    made.classList.toggle("is-refused", Boolean(picture.refused));
    made.querySelector(".readings").replaceChildren(...this.readings(picture));
    leakage(made.querySelector(".leakage"), picture);
    const times = [["edit", picture.edit_ms], ["image", picture.image_ms]];
    made.querySelector(".time").textContent = times.filter(([, ms]) => ms >= 0.05)
      .map(([what, ms]) => `${what} ${ms.toFixed(1)} ms`).join(", ");
    await after.decode().catch(() => {}); // another picture came meanwhile
  }

  readings(picture) {
    if (picture === this.pictures[0]) return [];
    const rows = [];
    for (const [name, change] of Object.entries(picture.changes)) {
      const unit = this.units[name] ? ` ${this.units[name]}` : "";
      rows.push(...pair(name, `${signed(change.achieved)} of ${signed(change.requested)}${unit}`));
    }
    for (const [name, cosine] of Object.entries(picture.identity)) {
      const same = picture.same_person[name] ? `same ${this.noun}` : `other ${this.noun}`;
      rows.push(...pair(short(name, picture.identity), `${cosine.toFixed(2)}, ${same}`));
    }
    if (Object.keys(picture.changes).length && picture.strength !== 1)
      rows.push(...pair("strength", picture.strength.toFixed(2)));
    return rows;
  }

  leftOne() {
    return this.pictures.find((picture) => picture.title === this.left) ?? this.pictures[0];
  }

  // Show another column on the left of the wipe.
  setLeft(title) {
    this.left = title;
    for (const made of this.cards.values()) made.querySelector(".before").src = this.leftOne().image;
    this.setMode(this.mode);
  }

  setMode(mode) {
    this.mode = mode;
    const left = this.leftOne()?.title;
    for (const [i, made] of [...this.cards.values()].entries()) {
      const wiping = mode === "wipe" && made.dataset.title !== left;
      made.classList.toggle("wiping", wiping);
      made.querySelector(".before").hidden = !wiping;
      made.querySelector("canvas").hidden = mode !== "difference" || i === 0;
      made.querySelector(".after").hidden = mode === "difference" && i > 0;
    }
    if (mode === "difference") this.differences();
  }

  // 128 + (after − before), as the exported difference has it.
  async differences() {
    const [first, ...others] = [...this.cards.values()];
    const before = await pixels(first.querySelector(".after"));
    for (const made of others) {
      const after = await pixels(made.querySelector(".after"));
      const canvas = made.querySelector("canvas");
      Object.assign(canvas, { width: after.width, height: after.height });
      for (let i = 0; i < after.data.length; i += 1)
        if (i % 4 !== 3) after.data[i] = 127.5 + after.data[i] - before.data[i];
      canvas.getContext("2d").putImageData(after, 0, 0);
    }
  }
}

async function pixels(image) {
  await image.decode().catch(() => {});
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function leakage(place, picture) {
  const entries = Object.entries(picture.leakage).sort((a, b) => b[1] - a[1]);
  place.hidden = picture.mean_leakage === 0;
  place.querySelector("summary").textContent = `leakage ${picture.mean_leakage.toFixed(2)} σ`;
  place.querySelector("ul").replaceChildren(...entries.map(([name, sigmas]) => {
    const row = document.createElement("li");
    const bar = document.createElement("span");
    bar.className = "leak";
    bar.style.width = `${Math.min(100, 100 * sigmas)}%`;
    const text = document.createElement("span");
    text.textContent = `${name} ${sigmas.toFixed(2)}`;
    row.append(text, bar);
    return row;
  }));
}

function told(picture) {
  if (picture.refused) return "not edited";
  const changes = Object.entries(picture.changes)
    .map(([name, change]) => `${name} ${signed(change.achieved)}`);
  return changes.join(", ") || "unedited";
}

function pair(term, text) {
  const made = [document.createElement("dt"), document.createElement("dd")];
  made[0].textContent = term;
  made[1].textContent = text;
  return made;
}

// The part of a recogniser's name that tells it from the others.
function short(name, all) {
  const names = Object.keys(all);
  const last = name.split("-").at(-1);
  const alone = names.filter((other) => other.split("-").at(-1) === last).length === 1;
  return names.length === 1 ? "identity" : `identity, ${alone ? last : name}`;
}

function signed(value) {
  const text = Number(value.toPrecision(3)).toString();
  return value > 0 ? `+${text}` : text.replace("-", "−");
}
