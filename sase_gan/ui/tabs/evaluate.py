"""The tab Evaluate: measure a model against its training pictures, read reports, compare them."""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from sase_gan.api.training_pictures import place_of_training_pictures
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.metrics.records import RECORD_FILE, EvaluationRecord
from sase_gan.runs.folder import RESULTS_FILE, is_run, next_free
from sase_gan.ui import widgets
from sase_gan.ui.checks import chosen, sentences, whole_number
from sase_gan.ui.events import AT_ONCE, BAR, LONG, Action, at_once, relisted
from sase_gan.ui.markup import quiet
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import scratch_folder
from sase_gan.ui.trainings import Trainings

EVALUATIONS = "evaluations"
PROTOCOLS = ("quick", "standard")
MOST_PICTURES = 5000
MOST_COMPARED = 4
COLOUR_WORDS = {"green": "good", "amber": "middling", "red": "bad", "grey": "not judged"}


@dataclass(frozen=True)
class Report:
    """Words on a report, the report as a page and as a file, and lists of reports where they changed."""

    words: str
    page: str
    file: str
    reports: Any = field(default_factory=gr.skip)


class EvaluateHandlers:
    """What the tab does."""

    def __init__(self, models: Models, trainings: Trainings) -> None:
        self.models, self.runs, self.limits = models, trainings.runs, trainings.limits

    def reports(self) -> dict[str, Path]:
        """Find the folders with a report or figures by name: evaluations, the newest first, then runs with figures."""
        folder = self.runs / EVALUATIONS
        measured = [p for p in folder.iterdir() if (p / RECORD_FILE).is_file()] if folder.is_dir() else []
        found = {p.name: p for p in sorted(measured, key=lambda p: p.stat().st_mtime, reverse=True)}
        for entry in self.models.entries().values():
            if entry.run is not None and (entry.run / RESULTS_FILE).is_file():
                found.setdefault(f"run {entry.run.name}", entry.run)
        return found

    @sentences
    def evaluate(self, model: str, protocol: str = "quick", count: float = 200, progress: gr.Progress = BAR) -> Report:
        """Measure a model and write its report; returns verdicts, the report as a page and as a file, and the list.

        Args:
            count: How many pictures to draw and measure, 20 to 5000.
        """
        kind = chosen(protocol, PROTOCOLS, "The protocol")
        amount = whole_number(count, 20, MOST_PICTURES, "The number of pictures")
        self.limits.check_room(self.runs)
        opened = self.models.open(model)
        pictures, _ = place_of_training_pictures(opened.entry.run, opened.data)
        # The metrics take seconds to import, and the first picture is not to wait for them.
        from sase_gan.evaluation.options import EvaluationOptions
        from sase_gan.evaluation.run import run_evaluation
        from sase_gan.report.write import write_report

        folder = next_free(self.runs / EVALUATIONS, re.sub(r"[^\w.-]+", "-", opened.entry.name))
        options = EvaluationOptions(
            source=opened.entry.folder,
            real=pictures if opened.entry.run is None else None,
            out=folder,
            protocol=kind,
            count=amount,
            device=str(self.models.device),
            skip_missing=True,
        )
        try:
            result = run_evaluation(options, lambda what, done, total: progress((done, total), desc=what))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        progress(0.95, desc="writing the report")
        write_report(result.folder, run_folder=result.run_folder)
        return self._report(folder.name, verdicts(result.record), relisted(list(self.reports()), folder.name))

    @sentences
    def show(self, report: str) -> Report:
        """Show an earlier report: the page and the file."""
        folder = self._find(report)
        from sase_gan.report.write import write_report

        if not (folder / "report.html").is_file() or is_run(folder):
            write_report(folder)
        return self._report(report, "")

    @sentences
    def compare(self, reports: list[str]) -> Report:
        """Put two to four reports side by side; returns sentences, the page, the file.

        Raises:
            UsageError: for fewer or more reports, or one that is not there.
        """
        if not isinstance(reports, list) or not 2 <= len(set(map(str, reports))) <= MOST_COMPARED:
            raise UsageError(f"Choose two to {MOST_COMPARED} different reports to compare.")
        folders = [self._find(name) for name in dict.fromkeys(reports)]
        from sase_gan.report.columns import load_columns
        from sase_gan.report.compare import compare_columns, write_comparison

        comparison = compare_columns(load_columns(folders))
        out = scratch_folder("compare") / "compare.html"
        write_comparison(comparison, out)
        words = "\n\n".join(escaped(sentence) for sentence in comparison.sentences)
        return Report(words, framed(out.read_text(encoding="utf-8"), "Comparison"), str(out))

    def _find(self, name: object) -> Path:
        found = self.reports()
        if not isinstance(name, str) or name not in found:
            raise UsageError("There is no such report; measure a model first, or choose one of the list.")
        return found[name]

    def _report(self, name: str, words: str, *reports: Any) -> Report:
        """The page, and a copy of it where gradio may serve it from."""
        report = self._find(name) / "report.html"
        copy = scratch_folder("report") / f"report-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}.html"
        shutil.copyfile(report, copy)
        return Report(words, framed(report.read_text(encoding="utf-8"), f"Report {name}"), str(copy), *reports)

    def refresh(self) -> tuple[Any, Any]:
        """Offer the reports as they are on disk now, to show one and to compare several."""
        names = list(self.reports())
        return relisted(names), gr.update(choices=names)


def verdicts(record: EvaluationRecord) -> str:
    """Show the verdicts with their reasons, as HTML."""
    rows = []
    for topic in record.topics:
        colour, why = record.colour(topic), record.verdict_rules[topic].text or ""
        title = f"{topic.capitalize()}: {COLOUR_WORDS.get(colour, colour)}"
        rows.append(f'<div class="verdict {escaped(colour)}"><b>{title}</b><span>{escaped(why)}</span></div>')
    return f'<div class="verdicts">{"".join(rows)}</div>'


def framed(page: str, title: str) -> str:
    """Set a page within the page, which may run nothing and ask for nothing."""
    return f'<iframe class="report" sandbox title="{escaped(title)}" srcdoc="{html.escape(page)}"></iframe>'


def build(models: Models, trainings: Trainings, model: gr.Dropdown) -> Action:
    """Lay the tab out and connect its events; returns what is done when it is opened."""
    handlers = EvaluateHandlers(models, trainings)
    names = list(handlers.reports())
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                kinds = [("Quick", "quick"), ("Standard", "standard")]
                words = "Standard adds networks whose weights are here; it takes minutes."
                protocol = gr.Radio(kinds, value="quick", label="How to measure the model chosen above", info=words)
                words = "More: narrower intervals, more time."
                count = gr.Slider(20, 1000, 200, step=20, label="Pictures to draw", info=words)
            start = gr.Button("Measure", variant="primary", elem_id="evaluate-start")
            with gr.Group():
                report = widgets.open_list(names, "Reports", "report-list")
            show = gr.Button("Show the report", elem_id="report-show")
            with gr.Group():
                some = {"multiselect": True, "max_choices": MOST_COMPARED, "info": "Two to four of them."}
                several = widgets.open_list(names, "Compare", "compare-list", **some)
            compare = gr.Button("Compare", elem_id="compare-start")
        with gr.Column(scale=3, min_width=300):
            hint = (
                "Measure a model, or show an earlier report. The report says how far its pictures are from the real "
                "ones, whether it copies them, and how different they are among each other."
            )
            said = gr.HTML(quiet(hint), elem_id="verdicts")
            page = gr.HTML("", elem_id="report")
            file = gr.File(label="The report as a file", interactive=False, visible=True, elem_id="report-file")
    shown = {"words": said, "page": page, "file": file}
    measure = Action(handlers.evaluate, [model, protocol, count], {**shown, "reports": report}, LONG, judges=True)
    measured = measure.on(start.click, api="evaluate", show_progress_on=[said])
    at_once(measured.success, lambda: gr.update(choices=list(handlers.reports())), [], [several])
    Action(handlers.show, [report], shown, {}, judges=True).on(show.click, api="report")
    Action(handlers.compare, [several], shown, {}, judges=True).on(compare.click, api="compare")
    return Action(handlers.refresh, [], [report, several], AT_ONCE)
