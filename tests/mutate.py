"""Mutation testing of the modules that decide results: is every small change of theirs noticed by their own tests?

    python -m tests.mutate [--table docs/results/mutation.md] [MODULE ...]      (`make mutate` does it for all)

mutmut changes one expression at a time in a copy of the package, and runs the tests named below until one fails. A
module's outcome is kept in `runs/mutation.json`, so that a run which was cut off goes on with the next module. What
survives is listed with the reason where one is known (`mutation_survivors.yaml`): an equal program, or one that only
costs time. Error messages are left alone, and mutmut leaves decorated functions alone.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
OUTCOMES = REPOSITORY / "runs" / "mutation.json"
REASONS = Path(__file__).with_name("mutation_survivors.yaml")
MODULES = {
    "training/losses": ["training/test_losses.py"],
    "seeds": ["test_seeds.py"],
    "training/averaging": ["training/test_averaging.py"],
    "runs/due": ["test_finite.py"],
    "layers/statistics": ["layers/test_statistics.py"],
    "layers/map_affine": ["layers/test_map_affine.py"],
    "layers/excitation": ["layers/test_excitation.py"],
    "layers/batch_norm_apart": ["layers/test_batch_norm_apart.py"],
    "layers/spectral_norm": ["layers/test_spectral_norm.py"],
    "layers/primitives": ["layers/test_primitives.py"],
    "layers/sase": ["layers/test_sase.py", "layers/test_sase_options.py"],
    "layers/attentive_norm": ["layers/test_attentive_norm.py", "layers/test_attentive_norm_start.py"],
    "layers/aw_conv": ["layers/test_aw_conv.py"],
    "layers/efficient_multi_scale_attention": ["layers/test_efficient_multi_scale_attention.py"],
    "layers/sase_recognition": ["layers/test_sase_recognition.py"],
    "training/augment": ["training/test_augment.py"],
    "training/checkpoint_files": ["runs/test_checkpoints.py"],
    "metrics/bootstrap": ["metrics/test_bootstrap.py"],
    "metrics/structure": ["metrics/test_structure.py"],
    "metrics/diversity": ["metrics/test_diversity.py"],
    "metrics/patches": ["metrics/test_patches.py"],
    "metrics/fidelity": ["metrics/test_fidelity.py"],
    "metrics/originality": ["metrics/test_originality.py"],
    "metrics/single_image": ["metrics/test_single_image.py"],
    "metrics/verdicts": ["metrics/test_verdicts.py"],
    "drawing/patch_matching": ["drawing/test_patch_matching.py"],
    "drawing/injection": ["drawing/test_injection.py"],
    "training/low_shot": ["training/test_low_shot.py"],
    "training/one_shot": ["training/test_one_shot.py"],
}
"""Modules by their tests, small ones first."""
UNTOUCHED = [r"raise \w*Error", r"_(LOGGER|log)\b"]
SETTINGS = """
[tool.mutmut]
source_paths = ["sase_gan"]
only_mutate = ["sase_gan/{module}.py"]
also_copy = ["data", "configs"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly", "-x", "-n", "0", "-W", "ignore"]
do_not_mutate_patterns = {untouched}
process_isolation = "forkserver"
use_git_change_detection = false
timeout_constant = 60.0
"""


def mutate(module: str, mutmut: str) -> dict[str, Any]:
    """The mutants of a module by what became of them, and the changes of those that survived."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        committed = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(committed)) as archive:
            archive.extractall(copy, filter="data")
        tests = json.dumps([f"tests/{test}" for test in MODULES[module]])
        text = (copy / "pyproject.toml").read_text()
        text += SETTINGS.format(module=module, tests=tests, untouched=json.dumps(UNTOUCHED))
        (copy / "pyproject.toml").write_text(text)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}

        def call(*words: str) -> str:
            done = subprocess.run(
                [mutmut, *words], cwd=copy, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            if done.returncode:
                raise RuntimeError(f"mutmut failed on {module}:\n{done.stdout[-4000:]}")
            return done.stdout

        call("run", "--max-children", "1")
        found: dict[str, Any] = {"counts": {}, "survivors": {}}
        for line in call("results", "--all", "true").splitlines():
            mutant, _, outcome = line.strip().rpartition(": ")
            if not mutant:
                continue
            found["counts"][outcome] = found["counts"].get(outcome, 0) + 1
            if outcome not in ("killed", "timeout", "segfault"):
                found["survivors"][mutant.removeprefix("sase_gan.")] = change(call("show", mutant))
    return found


def change(shown: str) -> str:
    """The changed lines of a mutant, without the heading of its patch."""
    lines = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    return "\n".join(line[0] + " " + line[1:].strip() for line in lines)


def reason_of(diff: str, known: dict[str, str]) -> str | None:
    """Why a mutant survives, where that is known: it changes nothing that a test on a CPU can see."""
    without = [
        re.sub(r",? ?(device|dtype)=[\w.]+|, \)", lambda m: ")" if m[0] == ", )" else "", line[2:])
        for line in diff.split("\n")
    ]
    if len(without) == 2 and without[0] == without[1] and "device" in diff and "dtype" not in diff:
        return "the device, seen on a GPU alone"
    return next((reason for key, reason in known.items() if key in diff), None)


def table(outcomes: dict[str, Any], reasons: dict[str, dict[str, str]]) -> str:
    """The page: a row for each module, and under it what survived with the reason."""
    rows, lines, noticed, counted = [], list[str](), 0, 0
    for module in (one for one in MODULES if one in outcomes):
        counts, survivors = outcomes[module]["counts"], outcomes[module]["survivors"]
        total = sum(counts.values())
        known = reasons.get(module, {})
        equal = sum(reason_of(diff, known) is not None for diff in survivors.values())
        killed = total - len(survivors)
        noticed, counted = noticed + killed, counted + total - equal
        share = f"{killed / (total - equal):.0%}" if total > equal else "-"
        rows.append(f"| `{module}` | {total} | {killed} | {equal} | {len(survivors) - equal} | {share} |")
        for diff in survivors.values():
            why = reason_of(diff, known) or "not noticed"
            lines.append(
                f"* `{module}`, {why}:\n\n  ```diff\n" + "".join(f"  {x}\n" for x in diff.split("\n")) + "  ```"
            )
    share = f"{noticed / counted:.1%}" if counted else "-"
    heading = "| module | mutants | noticed | equal | left | noticed of those not equal |"
    heading += "\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join(
        [
            f"**{noticed} of {counted}** mutants that are not equal are noticed ({share}).\n",
            heading,
            *rows,
            "",
            "## What survives",
            "",
            *lines,
            "",
        ]
    )


def main() -> None:
    """Mutate what is asked for and not known yet; write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as training/losses; all by default")
    parser.add_argument("--table", type=Path, help="write the table there, under its first heading")
    parser.add_argument("--mutmut", default=str(Path(sys.executable).with_name("mutmut")))
    arguments = parser.parse_args()
    outcomes = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}
    for module in arguments.modules or [one for one in MODULES if one not in outcomes]:
        try:
            outcomes[module] = mutate(module, arguments.mutmut)
        except RuntimeError as error:  # the others go on
            print(error, flush=True)
            continue
        OUTCOMES.parent.mkdir(exist_ok=True)
        OUTCOMES.write_text(json.dumps(outcomes, indent=1))
        print(module, outcomes[module]["counts"], flush=True)
    reasons = yaml.safe_load(REASONS.read_text()) or {}
    text = table(outcomes, reasons)
    if arguments.table:
        head = (
            arguments.table.read_text().partition("\n\n**")[0] if arguments.table.exists() else "# Mutation testing\n"
        )
        arguments.table.write_text(f"{head.rstrip()}\n\n{text}")
    else:
        print(text)


if __name__ == "__main__":
    main()
