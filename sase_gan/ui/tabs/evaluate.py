"""The tab Evaluate: measure a model against its training pictures, read reports, compare them."""

from __future__ import annotations

import html
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from sase_gan.errors import UsageError
from sase_gan.metrics.records import RECORD_FILE, VERDICT_TOPICS, EvaluationRecord
from sase_gan.runs.folder import is_run, next_free
from sase_gan.runs.history import RESULTS_FILE
from sase_gan.ui.models import Models
from sase_gan.ui.widgets import DEVICE, chosen, escaped, open_choice, sentences, temporary_folder, whole_number

EVALUATIONS = "evaluations"
PROTOCOLS = ("quick", "standard")
MOST_PICTURES = 5000
MOST_COMPARED = 4
COLOUR_WORDS = {"green": "good", "amber": "middling", "red": "bad", "grey": "not judged"}


class EvaluateHandlers:
    """The handlers, as methods so that they know the models and where reports lie."""

    def __init__(self, models: Models, runs: Path) -> None:
        self.models, self.runs = models, runs

    def reports(self) -> dict[str, Path]:
        """Folders with a report or figures by name: evaluations, the newest first, then runs with figures."""
        folder = self.runs / EVALUATIONS
        measured = [p for p in folder.iterdir() if (p / RECORD_FILE).is_file()] if folder.is_dir() else []
        found = {p.name: p for p in sorted(measured, key=lambda p: p.stat().st_mtime, reverse=True)}
        for entry in self.models.entries().values():
            if entry.run is not None and (entry.run / RESULTS_FILE).is_file():
                found.setdefault(f"run {entry.run.name}", entry.run)
        return found

    @sentences
    def evaluate(
        self,
        model: str,
        protocol: str = "quick",
        count: float = 200,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str, str, Any]:
        """Measure a model and write its report; returns verdicts, the report as a page and as a file, and the list.

        Args:
            model: A name of the list of models.
            protocol: "quick" or "standard".
            count: How many pictures to draw and measure, 20 to 5000.
            progress: The browser's bar.
        """
        kind = chosen(protocol, PROTOCOLS, "The protocol")
        amount = whole_number(count, 20, MOST_PICTURES, "The number of pictures")
        opened = self.models.open(model)
        pictures = self.models.pictures_path(opened.entry, opened)
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
        names = list(self.reports())
        page, file = self._report(folder.name)
        return verdicts(result.record), page, file, gr.update(choices=names, value=folder.name)

    @sentences
    def show(self, report: str) -> tuple[str, str, str]:
        """An earlier report: its verdicts, the page, the file.

        Args:
            report: A name of the list of reports.
        """
        folder = self._find(report)
        from sase_gan.report.write import write_report

        if not (folder / "report.html").is_file() or is_run(folder):
            write_report(folder)
        page, file = self._report(report)
        return "", page, file

    @sentences
    def compare(self, reports: list[str]) -> tuple[str, str, str]:
        """Put two to four reports side by side; returns sentences, the page, the file.

        Args:
            reports: Names of the list of reports.
        """
        if not isinstance(reports, list) or not 2 <= len(set(map(str, reports))) <= MOST_COMPARED:
            raise UsageError(f"Choose two to {MOST_COMPARED} different reports to compare.")
        folders = [self._find(name) for name in dict.fromkeys(reports)]
        from sase_gan.report.columns import load_columns
        from sase_gan.report.compare import compare_columns
        from sase_gan.report.compare_page import write_comparison

        comparison = compare_columns(load_columns(folders))
        out = Path(tempfile.mkdtemp(prefix="compare-", dir=temporary_folder())) / "compare.html"
        write_comparison(comparison, out)
        words = "\n\n".join(escaped(sentence) for sentence in comparison.sentences)
        return words, framed(out.read_text(encoding="utf-8"), "Comparison"), str(out)

    def _find(self, name: object) -> Path:
        found = self.reports()
        if not isinstance(name, str) or name not in found:
            raise UsageError("There is no such report; measure a model first, or choose one of the list.")
        return found[name]

    def _report(self, name: str) -> tuple[str, str]:
        """The page, and a copy of it where gradio may serve it from."""
        report = self._find(name) / "report.html"
        folder = Path(tempfile.mkdtemp(prefix="report-", dir=temporary_folder()))
        copy = folder / f"report-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}.html"
        shutil.copyfile(report, copy)
        return framed(report.read_text(encoding="utf-8"), f"Report {name}"), str(copy)

    def refresh(self) -> tuple[Any, Any]:
        """The lists as they are on disk now."""
        names = list(self.reports())
        return gr.update(choices=names, value=names[0] if names else None), gr.update(choices=names)


def verdicts(record: EvaluationRecord) -> str:
    """The three verdicts with their reasons, as HTML."""
    rows = []
    for topic in VERDICT_TOPICS:
        colour = record.colour(topic)
        why = record.verdict_rules[topic].text or ""
        rows.append(
            f'<div class="verdict {escaped(colour)}"><b>{topic.capitalize()}: {COLOUR_WORDS.get(colour, colour)}</b>'
            f"<span>{escaped(why)}</span></div>"
        )
    return f'<div class="verdicts">{"".join(rows)}</div>'


def framed(page: str, title: str) -> str:
    """A page within the page, that may run nothing and ask for nothing."""
    return f'<iframe class="report" sandbox title="{escaped(title)}" srcdoc="{html.escape(page)}"></iframe>'


# --- page ------------------------------------------------------------------------------------------------------------


def build(models: Models, runs: Path, model: gr.Dropdown) -> dict[str, Any]:
    """The tab's components and events; returns what is done when it is opened."""
    handlers = EvaluateHandlers(models, runs)
    names = list(handlers.reports())
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                protocol = gr.Radio(
                    [("Quick", "quick"), ("Standard", "standard")],
                    value="quick",
                    label="How to measure the model chosen above",
                    info="Standard adds networks whose weights are here; it takes minutes.",
                )
                count = gr.Slider(
                    20, 1000, 200, step=20, label="Pictures to draw", info="More: narrower intervals, more time."
                )
            start = gr.Button("Measure", variant="primary", elem_id="evaluate-start")
            with gr.Group():
                report = open_choice(
                    gr.Dropdown(
                        names,
                        value=names[0] if names else None,
                        label="Reports",
                        filterable=False,
                        elem_id="report-list",
                    )
                )
            show = gr.Button("Show the report", elem_id="report-show")
            with gr.Group():
                several = open_choice(
                    gr.Dropdown(
                        names,
                        multiselect=True,
                        max_choices=MOST_COMPARED,
                        label="Compare",
                        filterable=False,
                        info="Two to four of them.",
                        elem_id="compare-list",
                    )
                )
            compare = gr.Button("Compare", elem_id="compare-start")
        with gr.Column(scale=3, min_width=300):
            words = gr.HTML(
                '<p class="quiet">Measure a model, or show an earlier report. The report says how far its pictures are '
                "from the real ones, whether it copies them, and how different they are among each other.</p>",
                elem_id="verdicts",
            )
            page = gr.HTML("", elem_id="report")
            file = gr.File(label="The report as a file", interactive=False, visible=True, elem_id="report-file")
    start.click(
        handlers.evaluate,
        [model, protocol, count],
        [words, page, file, report],
        api_name="evaluate",
        api_visibility="public",
        show_progress_on=[words],
        **DEVICE,
    ).success(
        lambda: gr.update(choices=list(handlers.reports())), None, [several], api_visibility="private", queue=False
    )
    show.click(handlers.show, [report], [words, page, file], api_name="report", api_visibility="public")
    compare.click(handlers.compare, [several], [words, page, file], api_name="compare", api_visibility="public")
    return {"handlers": handlers, "on_open": (handlers.refresh, None, [report, several])}
