// Pages of pictures by seed, and the close-up of one.

import { show } from "./drawing.js";
import { pngOf } from "./png.js";
import { MAX_SEED, anySeed, readSeed } from "./state.js";

export const PAGE = 24;
const $ = (selector, within = document) => within.querySelector(selector);

/** An empty place for a picture in a grid. */
export function tile(caption, label) {
  const button = document.createElement("button");
  button.className = "tile waiting";
  button.type = "button";
  button.setAttribute("aria-label", label);
  const text = document.createElement("span");
  text.textContent = caption;
  button.append(document.createElement("canvas"), text);
  return button;
}

/** Put a picture in its place. */
export function fill(place, picture) {
  show($("canvas", place), picture);
  place.classList.remove("waiting");
}

/** Offer a file to be kept. */
export function keep(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export class Pictures {
  constructor(state, artist, closeUp) {
    Object.assign(this, { state, artist, closeUp });
    $("#seed").addEventListener("change", ({ target }) => {
      const seed = readSeed(target.value);
      if (seed === null) target.value = state.get("seed");
      else this.#turn(seed);
    });
    $("#before").addEventListener("click", () => this.#turn(state.get("seed") - PAGE));
    $("#after").addEventListener("click", () => this.#turn(state.get("seed") + PAGE));
    $("#surprise").addEventListener("click", () => this.#turn(anySeed()));
  }

  #turn(seed) {
    this.state.set({ seed: Math.min(MAX_SEED - PAGE + 1, Math.max(0, seed)) });
  }

  async render() {
    const first = this.state.get("seed");
    $("#seed").value = first;
    $("#before").disabled = first === 0;
    const seeds = Array.from({ length: PAGE }, (_, place) => first + place).filter((seed) => seed <= MAX_SEED);
    const tiles = seeds.map((seed) => tile(seed, `Picture of seed ${seed}`));
    tiles.forEach((place, index) => place.addEventListener("click", () => this.closeUp.open(seeds[index])));
    $("#grid").replaceChildren(...tiles);
    const requests = seeds.map((seed) => this.state.request(seed));
    await this.artist.drawEach("page", requests, (picture, place) => fill(tiles[place], picture));
  }
}

export class CloseUp {
  constructor(state, artist, description) {
    Object.assign(this, { state, artist, description });
    this.dialog = $("#close-up");
    const on = (name, act) => $(`.${name}`, this.dialog).addEventListener("click", act);
    on("close", () => this.dialog.close());
    on("previous", () => this.open(Math.max(0, this.seed - 1)));
    on("next", () => this.open(Math.min(MAX_SEED, this.seed + 1)));
    on("save", () => {
      const classes = state.nameOf("");
      this.save(this.picture, this.#recipe(), `seed${String(this.seed).padStart(6, "0")}${classes}.png`);
    });
    on("copy", async ({ target }) => {
      await navigator.clipboard?.writeText(this.#command());
      target.textContent = navigator.clipboard ? "Copied" : "Copy it below";
    });
    on("to-first", () => this.#leave({ view: "mix", a: this.seed }));
    on("to-second", () => this.#leave({ view: "mix", b: this.seed }));
    on("to-walk", () => this.#leave({ view: "walk", stations: `${state.get("stations")},${this.seed}` }));
    this.dialog.addEventListener("click", ({ target }) => target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowLeft") this.open(Math.max(0, this.seed - 1));
      if (key === "ArrowRight") this.open(Math.min(MAX_SEED, this.seed + 1));
    });
    for (const name of ["to-first", "to-second"]) $(`.${name}`, this.dialog).hidden = !description.mixing;
  }

  #leave(changes) {
    this.dialog.close();
    this.state.set(changes);
  }

  async open(seed) {
    this.seed = seed;
    this.picture = null;
    $(".save", this.dialog).disabled = true;
    $(".copy", this.dialog).textContent = "Copy command";
    $(".named span", this.dialog).textContent = `Seed ${this.state.nameOf(seed)}`;
    $(".command", this.dialog).textContent = this.#command();
    if (!this.dialog.open) this.dialog.showModal();
    await this.artist.drawEach("close-up", [this.state.request(seed)], (picture) => {
      this.picture = picture;
      show($("canvas", this.dialog), picture);
      $(".save", this.dialog).disabled = false;
    });
  }

  /** What the picture's file says of it, as that of `sase-gan sample`. */
  #recipe() {
    return { ...recipeOf(this.state, this.description), seed: String(this.seed) };
  }

  async save(picture, recipe, name) {
    keep(await pngOf(picture, recipe), name);
  }

  #command() {
    const { state, description } = this;
    const more = [];
    if (state.get("truncation") !== 1) more.push(`--truncation ${state.get("truncation")}`);
    if (state.get("noise") !== "random") more.push(`--noise ${state.get("noise")}`);
    if (description.finished_stages === 0) more.push("--finished-stages 0");
    const name = state.nameOf(this.seed);
    return ["sase-gan sample SNAPSHOT --seeds", /^[\w=.-]+$/.test(name) ? name : `"${name}"`, ...more].join(" ");
  }
}

/** What all pictures of the page have in common. */
export function recipeOf(state, description) {
  const mixture = state.mixture();
  const words = mixture?.map(([name, share]) => (mixture.length > 1 ? `${share} % ${name}` : name)).join(", ");
  return {
    ...(words && { class: words }),
    snapshot: description.snapshot,
    truncation: String(state.get("truncation")),
    noise: state.get("noise"),
    software: `sase_gan page (weights in ${description.weights.slice(0, 6)})`,
  };
}
