const find = (selector) => element.querySelector(selector);
const sliders = [...element.querySelectorAll('.live-directions input[type="range"]')];
const image = find('.live-picture'), said = find('.live-said'), named = find('.live-name'), rate = find('.live-rate');
const play = find('.live-play');
let wanted = false, running = false, playing = false, place = 0, last = 0;
const classes = find('.live-classes'), kind = find('.live-kind'), other = find('.live-other'), share = find('.live-share');
let times = [], asks = true;

const model = () => window.chosenModel ?? document.querySelector("#model input").value;
const wish = () => ({
  model: model(), asks, kind: kind.value, other: other.value, share: Number(share.value),
  ...(playing
    ? { pictures: find('.live-stations').value, place }
    : { picture: find('.live-start').value, method: find('.live-method').value,
        values: sliders.map((slider) => Number(slider.value)) }),
});
// A class that is chosen goes before what a name says.
const offer = ({ names, mixes }) => {
  asks = false;
  for (const [list, words] of [[kind, "As named"], [other, "No other"]])
    list.replaceChildren(new Option(words, ""), ...names.map((name) => new Option(name, name)));
  classes.hidden = !names.length;
  classes.classList.toggle("live-unmixed", !mixes);
};

// One picture is asked for at a time, always of where things are by then: nothing waits in line.
const draw = async () => {
  wanted = true;
  if (running) return;
  running = true;
  while (wanted || playing) {
    wanted = false;
    const now = performance.now();
    if (playing) place += last ? Math.min(0.5, (now - last) / 1000 / Number(find('.live-pace').value)) : 0;
    last = now;
    const wished = wish();
    let answer;
    try { answer = await server.frame(wished); } catch (error) { answer = { error: "The studio does not answer." }; }
    if (answer.busy) { await new Promise((then) => setTimeout(then, 200)); wanted = !playing; continue; }
    said.textContent = answer.error || "";
    said.hidden = !answer.error;
    if (answer.error) { stop(); break; }
    if (answer.classes && wished.model === model()) offer(answer.classes);
    image.src = answer.picture;
    try { await image.decode(); } catch (error) { /* the next one shows */ }
    image.hidden = false;
    named.textContent = answer.name;
    times = [...times, performance.now()].slice(-12);
    rate.textContent = times.length > 2 && times.at(-1) - times.at(-2) < 1500
      ? `${((times.length - 1) * 1000 / (times.at(-1) - times[0])).toFixed(1)} pictures a second` : "";
    image.dataset.count = Number(image.dataset.count || 0) + 1;
  }
  running = false;
};
const stop = () => { playing = false; last = 0; play.textContent = "▶ Play the walk"; };
const begin = () => { times = []; draw(); };

sliders.forEach((slider) => slider.addEventListener("input", () => {
  slider.nextElementSibling.textContent = Number(slider.value).toFixed(1);
  stop();
  if (!running) times = [];
  draw();
}));
share.addEventListener("input", () => {
  share.nextElementSibling.textContent = `${share.value} %`;
  if (!running) times = [];
  draw();
});
kind.addEventListener("change", begin);
other.addEventListener("change", begin);
find('.live-start').addEventListener("change", () => { stop(); begin(); });
find('.live-method').addEventListener("change", () => { stop(); begin(); });
find('.live-reset').addEventListener("click", () => {
  sliders.forEach((slider) => { slider.value = 0; slider.nextElementSibling.textContent = "0.0"; });
  stop(); begin();
});
play.addEventListener("click", () => {
  if (playing) { stop(); return; }
  playing = true; last = 0; play.textContent = "❚❚ Pause";
  begin();
});
find('.live-take').addEventListener("click", () => { if (named.textContent) trigger("submit", { name: named.textContent }); });
// When another model is chosen, and when the tab is opened.
window.addEventListener("another-model", () => {
  stop();
  // The classes of the other model are asked for; those of this one are none of its.
  kind.value = other.value = "";
  classes.hidden = asks = true;
  image.hidden = true;
  named.textContent = "";
  if (element.offsetParent !== null) begin();
});
new IntersectionObserver((seen) => {
  if (!seen.some((each) => each.isIntersecting)) stop();
  else if (image.hidden) begin();
}).observe(element);
