// Requests to the server: one at a time, the latest slider position wins, nothing kept is lost.

export class Gone extends Error {}

export class Requests {
  constructor({ onAnswer, onError, onGone, onIdle }) {
    Object.assign(this, { onAnswer, onError, onGone, onIdle });
    this.room = null;
    this.record = null; // of the last answer, to begin again where a server was restarted
    this.queue = [];
    this.running = false;
  }

  // A preview takes the place of a preview that waits; an action drops it.
  push(job) {
    this.queue = this.queue.filter((waiting) => waiting.action !== "preview");
    this.queue.push(job);
    if (!this.running) this.drain();
  }

  async drain() {
    this.running = true;
    while (this.queue.length) {
      const job = this.queue[0];
      try {
        const answer = await this.send(job);
        this.take(job);
        if (answer.record) this.record = answer.record;
        await this.onAnswer(answer, job);
      } catch (error) {
        if (error instanceof Gone) {
          this.running = false;
          this.onGone(error.message); // the job stays first in the queue
          return;
        }
        this.take(job);
        this.onError(error.message, job);
      }
    }
    this.running = false;
    this.onIdle();
  }

  take(job) {
    if (this.queue[0] === job) this.queue.shift();
  }

  async send(job) {
    if (this.room === null) {
      const begun = await this.begin();
      this.room = begun.room;
      if (job.action === "show") return begun;
    }
    try {
      if (job.action === "photograph") return await this.photograph(job.file);
      return await post(`/api/sessions/${this.room}`, job);
    } catch (error) {
      if (error.status !== 410) throw error;
      this.room = null; // the server was restarted, or made room for others
      return this.send(job);
    }
  }

  // With what was kept, unless the server refuses it: then with its first image.
  async begin() {
    try {
      return await post("/api/sessions", this.record ?? {});
    } catch (error) {
      if (this.record === null || error.status === undefined) throw error;
      this.record = null;
      this.onError(error.message);
      return post("/api/sessions", {});
    }
  }

  photograph(file) {
    return fetched(`/api/sessions/${this.room}/photograph`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream", "x-file-name": plain(file.name) },
      body: file,
    }).then((answer) => answer.json());
  }

  export(wanted) {
    const address = `/api/sessions/${this.room}/export`;
    return fetched(address, json(wanted)).then((answer) => answer.blob());
  }

  end() {
    if (this.room !== null) navigator.sendBeacon(`/api/sessions/${this.room}/end`);
  }
}

export function get(address) {
  return fetched(address, {}).then((answer) => answer.json());
}

function post(address, body) {
  return fetched(address, json(body)).then((answer) => answer.json());
}

function json(body) {
  const headers = { "content-type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

async function fetched(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Gone("The studio's server does not answer. Your session is kept.");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  throw Object.assign(new Error(told.error), { status: answer.status });
}

// Headers hold ASCII alone.
function plain(name) {
  return name.replace(/[^\x20-\x7e]/g, "_").slice(0, 100);
}
