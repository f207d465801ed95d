() => {
  // The arrow keys go from tab to tab, as users of the keyboard expect; gradio leaves that out.
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('[role="tab"]');
    if (!tab || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const tabs = [...tab.parentElement.querySelectorAll('[role="tab"]:not([disabled])')];
    const here = tabs.indexOf(tab);
    const places = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 };
    if (!(event.key in places)) return;
    event.preventDefault();
    const next = tabs[(places[event.key] + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
  // The folder that pictures are chosen from, whose name a run gets; the server is not told of it otherwise.
  const folderOf = (files) => (files?.[0]?.webkitRelativePath || "").split("/")[0];
  document.addEventListener("change", (event) => {
    if (event.target.type === "file") window.chosenFolder = folderOf(event.target.files);
  }, true);
  document.addEventListener("drop", () => { window.chosenFolder = ""; }, true);
  // What is shown stands in the address; Back and a sent link begin the page anew with it.
  window.inAddress = (key, value) => {
    const query = new URLSearchParams(location.search);
    if ((key === "tab" && value === "generate") || !value && value !== 0) query.delete(key);
    else query.set(key, value);
    const address = `?${query}`;
    if (address === (location.search || "?")) return;
    // A seed is typed digit by digit, and Back is not to go through them.
    history[["model", "tab"].includes(key) ? "pushState" : "replaceState"](null, "", address);
  };
  window.addEventListener("popstate", () => location.reload());
};
