"""The card of a model on the hub: what it is, whose pictures it learned from, its pictures, figures and verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sase_gan.errors import DataError
from sase_gan.markdown import escaped
from sase_gan.metrics.records import RECORD_FILE, EvaluationRecord, VerdictRule, metrics_by_section, read_record
from sase_gan.report.numbers import number_row
from sase_gan.runs.folder import is_run
from sase_gan.runs.history import read_run

GRID_FILE = "grid.png"


def find_record(snapshot: Path, digest: str, evaluation: Path | None = None) -> EvaluationRecord | None:
    """Find the figures of a snapshot: of an evaluation's folder, else of the run that it lies in; None without any.

    Raises:
        DataError: the evaluation is of another model.
        UsageError: it follows another schema.
    """
    if evaluation is not None:
        record = read_record(evaluation / RECORD_FILE)
        if record.model is None or record.model.digest != digest:
            measured = "pictures without a model" if record.model is None else str(record.model.digest)[:12]
            raise DataError(
                f"{evaluation} measured {measured}, and {digest[:12]} is to be published; measure it with: sase-gan "
                f"evaluate {snapshot} --out FOLDER"
            )
        return record
    run = snapshot.resolve().parent.parent
    if not is_run(run):
        return None
    found = [record for record in read_run(run).results if record.model and record.model.digest == digest]
    return found[-1] if found else None


def card_of(network: Any, name: str, record: EvaluationRecord | None, *, licence: str, grid: bool) -> str:
    """Write the card, as Markdown with the hub's header.

    Args:
        name: on the hub, for the commands in the card.
        licence: of the training pictures.
        grid: whether there is a sheet of pictures beside it.
    """
    data = {**(network.provenance.get("data") or {}), "licence": licence}
    network.provenance = {**network.provenance, "data": data}
    parts = [str(network.generate_model_card()).replace("SNAPSHOT", name).rstrip()]
    if grid:
        parts.append(f"## Pictures\n\nSeeds 0 to 63, none chosen:\n\n![Pictures of the seeds 0 to 63]({GRID_FILE})")
    parts.append(_figures(record) if record else "## Figures\n\nNone were measured.")
    return "\n\n".join(parts) + "\n"


def _figures(record: EvaluationRecord) -> str:
    real, fakes = record.data, record.fakes
    lines = [
        "## Figures",
        f"Protocol: {escaped(record.protocol_name, quote=False)}; {fakes.n} generated pictures against {real.n} of "
        f"{escaped(real.name, quote=False)}. Figures of few pictures say little across sets: compare within one.",
    ]
    verdicts = ["| question | verdict | why |", "| --- | --- | --- |"]
    for topic in record.topics:
        rule = record.verdict_rules.get(topic, VerdictRule())
        why = " ".join(filter(None, (rule.text, rule.rule)))
        verdicts.append(f"| {topic} | {record.colour(topic)} | {escaped(why, quote=False)} |")
    lines.append("\n".join(verdicts))
    rows = ["| figure | value | interval | honest level |", "| --- | --- | --- | --- |"]
    for _, metrics in metrics_by_section(record.metrics):
        for key, metric in metrics:
            if not metric.measured:
                continue
            row = number_row(key, metric)
            title = f"{row['title']} ({row['features']})" if row["features"] else row["title"]
            rows.append(f"| {title} | {row['value']} | {row['interval'] or ''} | {row['level'] or ''} |")
    lines.append("\n".join(rows))
    return "\n\n".join(lines)
