// Two pictures crossed: places of the first, appearance of the second, from each size of the maps on.

import { show } from "./drawing.js";
import { fill, recipeOf, tile } from "./pictures.js";
import { anySeed, readSeed } from "./state.js";

const $ = (selector) => document.querySelector(selector);

export class Mix {
  constructor(state, artist, closeUp, description) {
    Object.assign(this, { state, artist, closeUp, description });
    this.sizes = [];
    for (let size = 4; size <= description.image_size; size *= 2) this.sizes.push(size);
    for (const name of ["a", "b"]) {
      $(`#${name}`).addEventListener("change", ({ target }) => {
        const seed = readSeed(target.value);
        if (seed === null) target.value = state.get(name);
        else state.set({ [name]: seed });
      });
    }
    $("#swap").addEventListener("click", () => state.set({ a: state.get("b"), b: state.get("a") }));
    $("#other").addEventListener("click", () => state.set({ a: anySeed(), b: anySeed() }));
  }

  async render() {
    const { state } = this;
    const [a, b] = [state.get("a"), state.get("b")];
    $("#a").value = a;
    $("#b").value = b;
    const tiles = this.sizes.map((size) => tile(`from ${size} px`, `Mixed from maps of ${size} pixels on`));
    $("#mixes").replaceChildren(...tiles);
    // The second of each pair keeps its own appearance, which the first takes.
    const groups = [
      [state.request(a), state.request(b)],
      ...this.sizes.map((size) => [{ ...state.request(a), mixWith: 1, mixFrom: size }, state.request(b)]),
    ];
    await this.artist.draw("mix", groups, (picture, place, member) => {
      if (place === 0) return show($(member ? "#second" : "#first"), picture);
      if (member) return undefined;
      const size = this.sizes[place - 1];
      fill(tiles[place - 1], picture);
      tiles[place - 1].title = "Save PNG";
      tiles[place - 1].onclick = () => {
        const mixed = `${a} with the appearance of ${b} from ${size} px`;
        const recipe = { ...recipeOf(state, this.description), seed: String(a), mixed };
        this.closeUp.save(picture, recipe, `seed${a}-with-seed${b}-from${size}.png`);
      };
      return undefined;
    });
  }
}
