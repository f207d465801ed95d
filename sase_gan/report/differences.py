"""Why two numbers may not be ranked: a metric's settings are compared, and the sentence names what differs."""

from collections.abc import Sequence
from typing import Any

from sase_gan.metrics.records import EvaluationRecord, MetricRecord
from sase_gan.report.columns import Column, measured_entries
from sase_gan.report.numbers import count

# What decides whether two numbers mean the same, in the words of the second table.
_METRIC_FIELDS: tuple[tuple[str, str], ...] = (
    ("extractor", "feature network"),
    ("weights_sha256", "weights of the feature network"),
    ("layer", "layer"),
    ("resize", "resize"),
    ("n_fake", "number of generated pictures"),
    ("n_real", "number of real pictures"),
    ("subset_size", "subset size"),
    ("reference_set", "reference"),
    ("mirrors", "mirrored reference"),
)


def difference_of(columns: Sequence[Column], measured: Sequence[int], name: str) -> str | None:
    """Say why the measured cells of a metric may not be ranked, naming the field; `None` when they may."""
    if len(measured) < 2:
        return f"only {columns[measured[0]].name} has it"
    entries = measured_entries([columns[place] for place in measured], name)
    digests = {record.data.digest for _, record, _ in entries}
    hashes = {metric.comparability for _, _, metric in entries}
    if len(hashes) == 1 and None not in hashes and len(digests) == 1:
        return None
    return _named_difference(entries)


def _named_difference(entries: Sequence[tuple[str, EvaluationRecord, MetricRecord]]) -> str:
    candidates: list[tuple[str, list[Any]]] = [("real pictures", [_data_words(record) for _, record, _ in entries])]
    candidates += [(words, [getattr(metric, field) for _, _, metric in entries]) for field, words in _METRIC_FIELDS]
    for words, field in (("truncation", "truncation"), ("averaged weights", "averaged"), ("noise", "noise")):
        candidates.append((words, [getattr(record.model, field) if record.model else None for _, record, _ in entries]))
    candidates.append(("picture size", [record.fakes.image_size for _, record, _ in entries]))
    candidates.append(("protocol", [record.protocol_name for _, record, _ in entries]))
    differing = [(words, values) for words, values in candidates if len(set(values)) > 1]
    differing = _causes(differing)
    if not differing:
        if any(metric.comparability is None for _, _, metric in entries):
            return "a record does not say how it was measured (no comparability)"
        return "measured differently (comparability differs, though every recorded setting agrees: other versions?)"
    names = [name for name, _, _ in entries]
    told = [
        f"{words}: "
        + ", ".join(f"{name} {_plain(value)}" for name, value in dict(zip(names, values, strict=True)).items())
        for words, values in differing
    ]
    return "differs in " + "; ".join(told)


# What follows from another difference says nothing new beside it.
_CONSEQUENCES = {
    "real pictures": {"reference", "number of real pictures"},
    "number of generated pictures": {"subset size"},
    "number of real pictures": {"subset size"},
}


def _causes(differing: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    named = {words for words, _ in differing}
    implied = {consequence for words in named for consequence in _CONSEQUENCES.get(words, ())}
    # A protocol is the name of the settings: it is told only when no setting is.
    causes = [(words, values) for words, values in differing if words not in implied and words != "protocol"]
    return causes or differing


def _data_words(record: EvaluationRecord) -> str:
    """Two sets of the same name are told apart by the start of their digest."""
    return f"{record.data.name} ({(record.data.digest or 'unknown')[:8]})"


def _plain(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, tuple):
        return "×".join(str(part) for part in reversed(value))
    text = str(value)
    return f"{text[:8]}…" if len(text) == 64 else text
