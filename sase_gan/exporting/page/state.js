// What a visitor has chosen: it stands in the address, so that a page can be kept and sent on.

const DEFAULTS = {
  view: "pictures",
  seed: 0,
  truncation: 1,
  noise: "random",
  a: 0,
  b: 5,
  stations: "0,5,12",
  steps: 12,
  loop: true,
  kind: "",
  other: "",
  share: 50,
};

export const MAX_SEED = 2 ** 31 - 1;

/** A seed out of what was typed; null for what is none. */
export function readSeed(text) {
  const value = String(text).trim();
  return /^\d{1,10}$/.test(value) && Number(value) <= MAX_SEED ? Number(value) : null;
}

/** Seeds such as 0,5,12 or 3-6; null for anything else, fewer than two, or more than 32. */
export function readSeeds(text) {
  const seeds = [];
  for (const part of text.split(",")) {
    const ends = part.split("-").map(readSeed);
    const [first, last] = [ends[0], ends.at(-1)];
    if (ends.length > 2 || ends.includes(null) || last < first || last - first > 31) return null;
    for (let seed = first; seed <= last; seed++) seeds.push(seed);
  }
  return seeds.length >= 2 && seeds.length <= 32 ? seeds : null;
}

/** Some seed that nobody chose. */
export const anySeed = () => Math.floor(Math.random() * 1e6);

const within = (value, low, high) => Number.isFinite(value) && value >= low && value <= high;

const READERS = {
  view: (text) => (["pictures", "mix", "walk", "about"].includes(text) ? text : null),
  seed: readSeed,
  a: readSeed,
  b: readSeed,
  truncation: (text) => (within(Number(text), 0, 2) ? Number(text) : null),
  noise: (text) => (["random", "fixed", "off"].includes(text) ? text : null),
  stations: (text) => (readSeeds(text) ? text : null),
  steps: (text) => (within(Number(text), 1, 64) ? Math.round(Number(text)) : null),
  loop: (text) => ({ true: true, false: false })[text] ?? null,
  // Which classes there are only the model knows, see `mixture`.
  kind: (text) => text,
  other: (text) => text,
  share: (text) => (within(Number(text), 0, 100) ? Math.round(Number(text)) : null),
};

export class State {
  #listeners = [];

  constructor(classes = []) {
    this.classes = classes;
    this.values = { ...DEFAULTS };
    this.#read();
    addEventListener("hashchange", () => {
      this.#read();
      this.#tell();
    });
  }

  get(name) {
    return this.values[name];
  }

  set(changes) {
    Object.assign(this.values, changes);
    const chosen = Object.entries(this.values).filter(([name, value]) => value !== DEFAULTS[name]);
    history.replaceState(null, "", chosen.length ? `#${new URLSearchParams(chosen)}` : location.pathname);
    this.#tell();
  }

  changed(listener) {
    this.#listeners.push(listener);
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }

  #read() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const [name, reader] of Object.entries(READERS)) {
      const value = given.has(name) ? reader(given.get(name)) : null;
      this.values[name] = value ?? DEFAULTS[name];
    }
  }

  /** The chosen classes with their shares in per cent; null for each seed's own. */
  mixture() {
    const [kind, other, share] = ["kind", "other", "share"].map((name) => this.get(name));
    if (!this.classes.includes(kind)) return null;
    if (!this.classes.includes(other) || other === kind) return [[kind, 100]];
    return [[kind, 100 - share], [other, share]].filter(([, part]) => part);
  }

  /** The name of a seed's picture with the chosen classes, as `--seeds` takes it. */
  nameOf(seed) {
    const mixture = this.mixture() ?? [];
    return `${seed}${mixture.map(([name, part]) => (mixture.length > 1 ? `=${name}.${part}` : `=${name}`)).join("")}`;
  }

  /** What a picture of a seed is asked for by. */
  request(seed, noiseOf = seed) {
    const noiseSeed = { random: noiseOf, fixed: 0, off: null }[this.get("noise")];
    const mixture = this.mixture();
    return { seed, noiseSeed, truncation: this.get("truncation"), ...(mixture && { mixture }) };
  }
}
