// A walk from seed to seed: the frames that `sase-gan sample --walk` writes, played.

import { show } from "./drawing.js";
import { keep } from "./pictures.js";
import { readSeeds } from "./state.js";

const $ = (selector) => document.querySelector(selector);
const RATE = 16; // frames a second
const FILM_SIDE = 512; // of a film, at most so many times the picture's that it is not smaller

/** The requests of all frames, with the first station's noise throughout. */
export function framesOf(state, seeds, steps, loop) {
  const legs = loop ? seeds.length : seeds.length - 1;
  const frames = [];
  for (let leg = 0; leg < legs; leg++) {
    const [from, to] = [seeds[leg], seeds[(leg + 1) % seeds.length]];
    for (let step = 0; step < steps; step++) frames.push(frame(state, from, to, step / steps, seeds[0]));
  }
  if (!loop) frames.push(frame(state, seeds.at(-1), seeds.at(-1), 0, seeds[0]));
  return frames;
}

function frame(state, from, to, share, noiseOf) {
  const { seed, ...rest } = state.request(from, noiseOf);
  return { from: seed, to, share, ...rest };
}

export class Walk {
  constructor(state, artist) {
    Object.assign(this, { state, artist, pictures: [], expected: 0, timer: null });
    $("#stations").addEventListener("change", ({ target }) => {
      if (readSeeds(target.value)) state.set({ stations: target.value.replaceAll(" ", "") });
      else target.value = state.get("stations");
    });
    $("#steps").addEventListener("input", ({ target }) => ($("#steps ~ output").value = target.value));
    $("#steps").addEventListener("change", ({ target }) => state.set({ steps: Number(target.value) }));
    $("#loop").addEventListener("change", ({ target }) => state.set({ loop: target.checked }));
    $("#play").addEventListener("click", () => (this.timer ? this.pause() : this.#play()));
    $("#frame").addEventListener("input", () => this.#show());
    $("#film").addEventListener("click", () => this.#film());
    $("#film").hidden = !globalThis.MediaRecorder;
  }

  async render() {
    const { state } = this;
    const [stations, steps, loop] = ["stations", "steps", "loop"].map((name) => state.get(name));
    $("#stations").value = stations;
    $("#steps").value = steps;
    $("#steps ~ output").value = steps;
    $("#loop").checked = loop;
    const requests = framesOf(state, readSeeds(stations), steps, loop);
    this.pictures = [];
    this.expected = requests.length;
    $("#frame").max = requests.length - 1;
    $("#frame").value = 0;
    $("#film").disabled = true;
    if (!this.timer) this.#play();
    const whole = await this.artist.drawEach("walk", requests, (picture, place) => {
      this.pictures[place] = picture;
      this.#tell();
    });
    $("#film").disabled = !whole;
  }

  #tell() {
    const drawn = this.pictures.length;
    const place = Number($("#frame").value) + 1;
    $("#frames").textContent = drawn < this.expected ? `${drawn} of ${this.expected}` : `${place} / ${drawn}`;
  }

  #show() {
    const picture = this.pictures[Number($("#frame").value)];
    if (picture) show($("#screen"), picture);
    this.#tell();
  }

  #play() {
    $("#play").textContent = "❚❚";
    $("#play").setAttribute("aria-label", "Pause");
    this.timer = setInterval(() => {
      if (!this.pictures.length) return;
      $("#frame").value = (Number($("#frame").value) + 1) % this.pictures.length;
      this.#show();
    }, 1000 / RATE);
  }

  pause() {
    $("#play").textContent = "▶";
    $("#play").setAttribute("aria-label", "Play");
    clearInterval(this.timer);
    this.timer = null;
  }

  /** One round, recorded while it plays on a canvas that is large enough for players. */
  async #film() {
    $("#film").disabled = true;
    const { width, height } = this.pictures[0];
    const times = Math.max(1, Math.floor(FILM_SIDE / Math.max(width, height)));
    const [small, large] = [document.createElement("canvas"), document.createElement("canvas")];
    large.width = width * times;
    large.height = height * times;
    const context = large.getContext("2d");
    // A player that begins before there is a first frame records nothing.
    show(small, this.pictures[0]);
    context.drawImage(small, 0, 0, large.width, large.height);
    const recorder = new MediaRecorder(large.captureStream(RATE), { videoBitsPerSecond: 4_000_000 });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const ended = new Promise((resolve) => (recorder.onstop = resolve));
    const begun = new Promise((resolve) => (recorder.onstart = resolve));
    recorder.start();
    await begun;
    for (const picture of this.pictures) {
      show(small, picture);
      context.drawImage(small, 0, 0, large.width, large.height);
      await new Promise((resolve) => setTimeout(resolve, 1000 / RATE));
    }
    recorder.stop();
    await ended;
    keep(new Blob(parts, { type: recorder.mimeType }), `walk-${this.state.get("stations")}.webm`);
    $("#film").disabled = false;
  }
}
