// Asks the model for pictures a few at a time, keeps them a while, and drops what nobody waits for any more.

const KEPT = 400;

export class Artist {
  #kept = new Map();
  #turns = new Map();

  constructor(model) {
    this.model = model;
    const { size } = model.description;
    // Small pictures are drawn a few at a time; large ones are shown one by one.
    this.together = Math.max(1, Math.min(4, Math.floor((4 * 64 * 64) / (size[0] * size[1]))));
  }

  /**
   * Draw groups of requests, which are whole batches that may refer to themselves, and show each picture when it is there.
   * `purpose` names who asks: what it asked for before is given up.
   */
  async draw(purpose, groups, shown) {
    const turn = (this.#turns.get(purpose) ?? 0) + 1;
    this.#turns.set(purpose, turn);
    for (const [place, group] of groups.entries()) {
      const key = JSON.stringify(group);
      let pictures = this.#kept.get(key);
      if (!pictures) {
        pictures = await this.model.draw(group);
        this.#kept.set(key, pictures);
        if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
      }
      if (this.#turns.get(purpose) !== turn) return false;
      pictures.forEach((picture, member) => shown(picture, place, member));
    }
    return true;
  }

  /** Draw independent requests, several together. */
  async drawEach(purpose, requests, shown) {
    const groups = [];
    for (let start = 0; start < requests.length; start += this.together) {
      groups.push(requests.slice(start, start + this.together));
    }
    return this.draw(purpose, groups, (picture, place, member) => shown(picture, place * this.together + member));
  }
}
