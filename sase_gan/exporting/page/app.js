// The page: reads what the model says of itself, opens it, and keeps tabs, controls and address in step.

import { Artist } from "./artist.js";
import { Model } from "./drawing.js";
import { Mix } from "./mix.js";
import { CloseUp, Pictures } from "./pictures.js";
import { State } from "./state.js";
import { Walk } from "./walk.js";

const $ = (selector) => document.querySelector(selector);

function trouble(error) {
  console.error(error);
  $("#trouble").textContent = `The model does not draw here: ${error.message}.`;
  $("#trouble").hidden = false;
  $("#coming").hidden = true;
}

function tellFacts(description) {
  const megabytes = (description.bytes / 1e6).toFixed(1);
  const [height, width] = description.size;
  const facts = {
    Model: description.name,
    Kind: description.kind.replaceAll("_", " "),
    "Licence of the training pictures": description.licence,
    "Training pictures": description.trained_on,
    Classes: description.classes?.join(", "),
    Pictures: `${width} x ${height} px, ${description.colours}`,
    "Size of the model": `${megabytes} MB, weights in ${description.weights}`,
    "Checked when exported": description.checked,
    Snapshot: description.snapshot,
    "Made with": `sase_gan ${description.sase_gan}; onnxruntime-web ${description.runtime} (MIT licence)`,
  };
  for (const [name, value] of Object.entries(facts)) {
    if (!value) continue;
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    meaning.textContent = value;
    $("#facts").append(term, meaning);
  }
  $("#card").textContent = description.card;
  $("#licence").textContent = description.licence;
}

function layOut(description) {
  const [height, width] = description.size;
  document.documentElement.style.setProperty("--ratio", width / height);
  const side = Math.min(220, Math.max(120, Math.max(height, width) * 0.9));
  document.documentElement.style.setProperty("--tile", `${side}px`);
  $("#tab-mix").hidden = !description.mixing;
  // Noise that a model does not have, or that makes no difference, is nothing to choose.
  $("#noise").closest("label").hidden = !description.noiseShapes.length;
  if (!description.classes) return;
  for (const [list, first] of [["#kind", "each seed's own"], ["#other-kind", "no other"]]) {
    const options = description.classes.map((name) => new Option(name, name));
    $(list).replaceChildren(new Option(first, ""), ...options);
  }
}

/** Show which classes are chosen; shares only where there are two. */
function showClasses(state) {
  const mixture = state.mixture();
  const chosen = (name) => (state.classes.includes(state.get(name)) ? state.get(name) : "");
  $("#kind").closest("label").hidden = !state.classes.length;
  $("#kind").value = chosen("kind");
  $("#other-kind").closest("label").hidden = !mixture;
  $("#other-kind").value = chosen("other");
  $("#share").closest("label").hidden = !mixture || !chosen("other") || chosen("other") === chosen("kind");
  $("#share").value = state.get("share");
  $("#share ~ output").value = `${state.get("share")} %`;
}

async function start() {
  const answer = await fetch("model/model.json");
  if (!answer.ok) throw new Error(`model/model.json: ${answer.status} ${answer.statusText}`);
  const description = await answer.json();
  tellFacts(description);
  layOut(description);
  const [state, model] = [new State(description.classes), new Model(description)];
  const views = connect(state, model, description);
  const megabytes = (share) => `${((share * description.bytes) / 1e6).toFixed(1)}`;
  $("#coming").hidden = false;
  await model.load(new URL("model/model.onnx", document.baseURI).href, (share) => {
    $("#coming progress").value = share;
    const all = megabytes(1);
    $("#coming span").textContent = share < 1 ? `${megabytes(share)} of ${all} MB` : "opening the model";
  });
  $("#coming").hidden = true;
  state.changed(views);
  // For whoever wants the numbers: the console, and the tests.
  globalThis.saseGan = { model, state, description };
  views();
}

/** Wire the controls to the state, and the state to what is shown; returns what shows it. */
function connect(state, model, description) {
  const artist = new Artist(model);
  const closeUp = new CloseUp(state, artist, description);
  const views = { pictures: new Pictures(state, artist, closeUp), walk: new Walk(state, artist), about: null };
  if (description.mixing) views.mix = new Mix(state, artist, closeUp, description);
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => state.set({ view: tab.dataset.view }));
  }
  $("#truncation").addEventListener("input", ({ target }) => ($("#truncation ~ output").value = target.value));
  $("#truncation").addEventListener("change", ({ target }) => state.set({ truncation: Number(target.value) }));
  $("#noise").addEventListener("change", ({ target }) => state.set({ noise: target.value }));
  $("#kind").addEventListener("change", ({ target }) => state.set({ kind: target.value }));
  $("#other-kind").addEventListener("change", ({ target }) => state.set({ other: target.value }));
  $("#share").addEventListener("input", ({ target }) => ($("#share ~ output").value = `${target.value} %`));
  $("#share").addEventListener("change", ({ target }) => state.set({ share: Number(target.value) }));
  return () => {
    const view = state.get("view") in views ? state.get("view") : "pictures";
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.setAttribute("aria-selected", tab.dataset.view === view);
      document.getElementById(tab.dataset.view).hidden = tab.dataset.view !== view;
    }
    $("#shared").hidden = view === "about";
    $("#truncation").value = state.get("truncation");
    $("#truncation ~ output").value = state.get("truncation");
    $("#noise").value = state.get("noise");
    showClasses(state);
    if (view !== "walk") views.walk.pause();
    views[view]?.render().catch(trouble);
  };
}

if (location.protocol !== "file:") start().catch(trouble);
