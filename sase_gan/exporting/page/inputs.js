// From what is asked for to the tensors of the model: as sase_gan.drawing draws it, in the same order.

import { Normal, ownClass } from "./seeds.js";

const product = (shape) => shape.reduce((total, side) => total * side, 1);

/** The latent of a seed. */
export function latentOf(model, seed) {
  return new Normal(seed, "latent").draw(product(model.latentShape));
}

/** The noise maps of a seed, one after another from one stream; zeros for null. */
export function noiseOf(model, seed) {
  const source = seed === null ? null : new Normal(seed, "noise");
  return model.noiseShapes.map((shape) => {
    const count = product(shape);
    return source ? source.draw(count) : new Float32Array(count);
  });
}

/** The weights of the classes of a picture: of a mixture [[class, share in per cent] ...], or a seed's own class. */
export function weightsOf(model, seed, mixture) {
  const row = new Float32Array(model.classes.length);
  if (mixture) for (const [name, share] of mixture) row[model.classes.indexOf(name)] += share / 100;
  else row[ownClass(model.class_counts, seed)] = 1;
  return row;
}

/** From one latent to another on the arc, lengths too, as sase_gan.drawing.walks goes. */
export function between(a, b, share) {
  if (share === 0) return a;
  if (share === 1) return b;
  const dot = (x, y) => x.reduce((total, value, place) => total + value * y[place], 0);
  const [lengthA, lengthB] = [Math.sqrt(dot(a, a)), Math.sqrt(dot(b, b))];
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / (lengthA * lengthB))));
  if (angle < 1e-4 || angle > Math.PI - 1e-4) return a.map((value, place) => value + share * (b[place] - value));
  const length = lengthA + share * (lengthB - lengthA);
  const [ofA, ofB] = [Math.sin((1 - share) * angle) / lengthA, Math.sin(share * angle) / lengthB];
  return a.map((value, place) => ((ofA * value + ofB * b[place]) / Math.sin(angle)) * length);
}

/**
 * The model's inputs for a batch, by name: [type, data, shape].
 *
 * A request has `seed`, or `from`, `to` and `share`; `noiseSeed`, a number or null for none; `truncation`; and may have
 * `mixWith`, a place in this batch, with `mixFrom`, the side of the first map whose appearance is taken from there; and,
 * of a model with classes, `mixture`, see weightsOf.
 */
export function inputsOf(model, requests) {
  const count = requests.length;
  const joined = (parts, shape) => {
    const size = product(shape);
    const data = new Float32Array(count * size);
    parts.forEach((part, place) => data.set(part, place * size));
    return ["float32", data, [count, ...shape]];
  };
  const latents = requests.map((one) =>
    one.seed === undefined
      ? between(latentOf(model, one.from), latentOf(model, one.to), one.share)
      : latentOf(model, one.seed),
  );
  const noise = requests.map((one) => noiseOf(model, one.noiseSeed));
  const inputs = {
    z: joined(latents, model.latentShape),
    truncation: ["float32", Float32Array.from(requests, (one) => one.truncation), [count]],
  };
  model.noiseShapes.forEach((shape, map) => {
    inputs[`noise_${map}`] = joined(noise.map((maps) => maps[map]), shape);
  });
  if (model.classes) {
    const rows = requests.map(({ seed, from, to, share, mixture }) => {
      if (seed !== undefined) return weightsOf(model, seed, mixture);
      const [a, b] = [weightsOf(model, from, mixture), weightsOf(model, to, mixture)];
      return a.map((weight, place) => weight + share * (b[place] - weight));
    });
    inputs.classes = joined(rows, [model.classes.length]);
  }
  if (model.mixing) {
    inputs.mix_with = ["int64", BigInt64Array.from(requests, (one, place) => BigInt(one.mixWith ?? place)), [count]];
    inputs.mix_from = ["float32", Float32Array.from(requests, (one) => one.mixFrom ?? 1e9), [count]];
  }
  return inputs;
}
