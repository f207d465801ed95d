// The arrow keys go from tab to tab, as users of the keyboard expect; gradio leaves that out.
() => {
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
};
