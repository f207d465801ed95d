// Draws apart from the page, so that the page answers while it does: the model's tensors in, its pictures out.

import * as ort from "../runtime/ort.js";
import { inputsOf } from "./inputs.js";

ort.env.wasm.wasmPaths = { wasm: new URL("../runtime/ort.wasm", import.meta.url).href };
// More threads need headers that few hosts send.
ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;

let session = null;
let model = null;

async function load(address, description) {
  model = description;
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  const bytes = new Uint8Array(model.bytes);
  let place = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (place + value.length > bytes.length) throw new Error("the model is longer than it was when it was exported");
    bytes.set(value, place);
    place += value.length;
    postMessage({ loaded: place });
  }
  if (place < bytes.length) throw new Error("the model came incomplete; load the page again");
  session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
}

async function draw(requests) {
  const inputs = {};
  for (const [name, [type, data, shape]] of Object.entries(inputsOf(model, requests))) {
    inputs[name] = new ort.Tensor(type, data, shape);
  }
  const { pictures } = await session.run(inputs);
  return { values: pictures.data, shape: pictures.dims };
}

// One after another: a session draws one batch at a time.
let turn = Promise.resolve();

onmessage = ({ data }) => {
  turn = turn.then(async () => {
    try {
      const result = data.load ? await load(data.load, data.model) : await draw(data.requests);
      postMessage({ id: data.id, result }, result ? [result.values.buffer] : []);
    } catch (error) {
      postMessage({ id: data.id, error: String(error.message || error) });
    }
  });
};
