"""Mutation testing of the modules that decide results: is every small change of theirs noticed by their own tests?

    python -m tests.mutate [--sample 60] [--seed 0] [--table docs/results/mutation.md] [MODULE ...]

mutmut makes the changes, one expression at a time. The tests are collected once, in one process that has everything
imported; a fork of it gives the changed function its new code and runs the tests that reach the changed lines until one
fails, beginning with those that noticed the mutants before. A fork ends after five times the CPU seconds that its tests
take unchanged. A module's outcome is kept in `runs/mutation.json`, so that a run which was cut off goes on with the
next module. What survives is listed with the reason where one is known (`mutation_survivors.yaml`): an equal program,
or one that only costs time. Left alone are error messages (`raise`), and what runs at import: constants, decorators.
"""

import argparse
import gc
import importlib
import json
import os
import re
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import pytest
import yaml

from tests.mutants import Mutant, change_code, mutants_of, planted

REPOSITORY = Path(__file__).resolve().parents[1]
OUTCOMES = REPOSITORY / "runs" / "mutation.json"
REASONS = Path(__file__).with_name("mutation_survivors.yaml")
PLANTED = Path(__file__).with_name("planted_bugs.yaml")
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
    "layers/primitives": ["layers/test_primitives.py", "layers/test_map_affine.py"],
    "layers/sase": ["layers/test_sase.py", "layers/test_sase_options.py"],
    "layers/attentive_norm": ["layers/test_attentive_norm.py", "layers/test_attentive_norm_start.py"],
    "layers/aw_conv": ["layers/test_aw_conv.py"],
    "layers/efficient_multi_scale_attention": ["layers/test_efficient_multi_scale_attention.py"],
    "layers/sase_recognition": ["layers/test_sase_recognition.py"],
    "training/augment": ["training/test_augment.py"],
    "training/checkpoint_files": ["training/test_checkpoint_files.py"],
    "metrics/bootstrap": ["metrics/test_bootstrap.py"],
    "metrics/structure": ["metrics/test_structure.py"],
    "metrics/diversity": ["metrics/test_diversity.py"],
    "metrics/patches": ["metrics/test_patches.py"],
    "metrics/fidelity": ["metrics/test_fidelity.py"],
    "metrics/originality": ["metrics/test_originality.py"],
    "metrics/single_image": ["metrics/test_single_image.py", "metrics/test_diversity.py"],
    "metrics/verdicts": ["metrics/test_verdicts.py"],
    "drawing/patch_matching": ["drawing/test_patch_matching.py"],
    "drawing/injection": ["drawing/test_injection.py"],
    "training/low_shot": ["training/test_totals.py", "training/test_low_shot.py"],
    "training/one_shot": ["training/test_one_shot_step.py", "training/test_one_shot.py"],
    "training/likelihood": ["training/test_likelihood.py"],
    "recombination/box_sums": ["recombination/test_aligned.py"],
    "recombination/evenness": ["recombination/test_evenness.py"],
    "recombination/grid": ["recombination/test_aligned.py", "recombination/test_control.py"],
    "recombination/shortlists": ["recombination/test_aligned.py"],
    "recombination/schedules": ["recombination/test_aligned.py"],
    "recombination/aligned": ["recombination/test_aligned.py", "recombination/test_control.py"],
    "recombination/choice": ["recombination/test_choice.py"],
    "recombination/free_steps": ["recombination/test_free.py", "recombination/test_free_courses.py"],
    "recombination/free_polish": ["recombination/test_free.py", "recombination/test_free_courses.py"],
}
"""Modules by the tests that are asked about them."""
ALWAYS = {"device": "the device, seen on a GPU alone", "strict": "equal, a guard: the lengths agree"}
"""Arguments whose values make no difference."""
ENDLESS = "the limit of CPU seconds or memory"
NOT_REACHED = "not reached\n"
PATIENCE = 15.0
"""CPU seconds of tests after which no other test is asked about a mutant."""
MEMORY = 4 << 30
"""Bytes that a fork may take beyond what its parent has."""


@dataclass(frozen=True)
class Test:
    """A collected test, the lines of the module that it reaches, and the CPU seconds that it takes."""

    __test__ = False
    item: pytest.Item
    lines: frozenset[int]
    seconds: float


def _path(module: str) -> Path:
    return REPOSITORY / "sase_gan" / f"{module}.py"


class Mutating:
    """A plugin of pytest: what it does with the collected tests in place of running them."""

    def __init__(
        self,
        modules: list[str],
        bugs: list[dict[str, Any]],
        outcomes: dict[str, Any],
        number: int | None,
        seed: int,
        again: bool,
    ) -> None:
        self.modules, self.bugs, self.outcomes, self.number, self.seed = modules, bugs, outcomes, number, seed
        self.again = again
        self.functions: dict[str, dict[str, list[FunctionType]]] = {}
        self.failed: str | None = None
        self.reached: set[int] = set()
        self.fixtures: dict[Any, set[int]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        """What a shared fixture reaches, every test that asks for it reaches."""
        if fixturedef.scope == "function":
            return (yield)
        mine, self.reached = self.reached, self.fixtures.setdefault(fixturedef, set())
        try:
            return (yield)
        finally:
            self.reached = mine

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        self._know_functions()
        for module in self.modules:
            self._keep(module, self._mutate(module, session))
        traced: dict[tuple[str, ...], dict[str, Test]] = {}
        for bug in self.bugs:
            known = bug["module"], *bug["tests"]
            traced[known] = tests = traced.get(known) or self._tests(bug["module"], bug["tests"], session)
            mutant = planted(_path(bug["module"]).read_text(), bug["from"], bug["to"])
            noticing, _ = self._try(bug["module"], mutant, tests, dict.fromkeys(tests, 0))
            self.outcomes.setdefault("planted", {})
            self._keep("planted", {**self.outcomes["planted"], bug["fault"]: noticing})
        return True

    def _know_functions(self) -> None:
        for module in [*self.modules, *(bug["module"] for bug in self.bugs)]:
            importlib.import_module(f"sase_gan.{module.replace('/', '.')}")
        gc.collect()
        for one in gc.get_objects():
            if type(one) is FunctionType:  # some objects warn when asked for more
                named = self.functions.setdefault(one.__code__.co_filename, {})
                named.setdefault(one.__code__.co_qualname, []).append(one)
        gc.freeze()

    def _keep(self, name: str, outcome: dict[str, Any]) -> None:
        self.outcomes[name] = outcome
        OUTCOMES.parent.mkdir(exist_ok=True)
        OUTCOMES.write_text(json.dumps(self.outcomes, indent=1))
        shown = {key: value for key, value in outcome.items() if key != "survivors"}
        print(name, list(shown.items())[-1] if name == "planted" else shown, flush=True)

    def _tests(self, module: str, files: list[str], session: pytest.Session) -> dict[str, Test]:
        """The tests of a module in the default run, tried as they are."""
        mine = tuple(f"tests/{file}::" for file in files)
        items = {item.nodeid: item for item in session.items if item.nodeid.startswith(mine)}
        found, _ = _in_fork(partial(self._trace, str(_path(module)), items), 3600)
        if not found or "failed" in found or "broken" in found:
            raise RuntimeError(f"The tests of {module} fail as they are: {found}")
        return {name: Test(items[name], frozenset(lines), seconds) for name, (lines, seconds) in found.items()}

    def _mutate(self, module: str, session: pytest.Session) -> dict[str, Any]:
        """How many mutants of a module there are, were tried and were noticed, CPU seconds, and what survived."""
        began = os.times()
        tests = self._tests(module, MODULES[module], session)
        mutants, made = mutants_of(_path(module).read_text(), self.number, f"{module} {self.seed}")
        order = dict.fromkeys(tests, 0)
        found: dict[str, Any] = {"made": made, "tried": len(mutants), "noticed": 0, "survivors": []}
        if self.again:
            before = [change.removeprefix(NOT_REACHED) for change in self.outcomes[module]["survivors"]]
            mutants = [mutant for mutant in mutants if mutant.change in before]
            found["noticed"] = found["tried"] - len(mutants)
        for mutant in mutants:
            noticing, near = self._try(module, mutant, tests, order)
            found["noticed"] += noticing is not None
            if noticing is None:
                found["survivors"].append(("" if near else NOT_REACHED) + mutant.change)
                print(module, mutant.function, found["survivors"][-1].replace("\n", "   "), flush=True)
        ended = os.times()
        found["seconds"] = round(
            ended.children_user + ended.children_system - began.children_user - began.children_system
        )
        return found

    def _try(
        self, module: str, mutant: Mutant, tests: dict[str, Test], order: dict[str, int]
    ) -> tuple[str | None, bool]:
        """Which test notices a mutant, and whether any reaches it; who noticed the last one is asked first."""
        near = [name for name, test in tests.items() if mutant.lines & test.lines]
        near.sort(key=lambda name: (-order[name], tests[name].seconds))
        before = accumulate(tests[name].seconds for name in near)
        near = [name for name, seconds in zip(near, before, strict=True) if seconds - tests[name].seconds < PATIENCE]
        limit = int(10 + 5 * sum(tests[name].seconds for name in near))
        outcome, ended = _in_fork(partial(self._run, module, mutant, [tests[name].item for name in near]), limit)
        if outcome is None:
            print(module, "ended with", ended, mutant.change.replace("\n", "   "), flush=True)
            return ENDLESS, True
        if "broken" in outcome:
            raise RuntimeError(f"{module}, {mutant.function}: {outcome['broken']}\n{mutant.change}")
        if outcome["failed"]:
            order[outcome["failed"]] = max(order.values()) + 1
        return outcome["failed"], bool(near)

    def _trace(self, path: str, items: dict[str, pytest.Item]) -> dict[str, Any]:
        """The lines of a file that each test reaches, and the CPU seconds that it takes."""

        def local(frame: FrameType, event: str, _: object) -> Any:
            self.reached.add(frame.f_lineno)
            return local

        def enter(frame: FrameType, event: str, argument: object) -> Any:
            return local(frame, event, argument) if frame.f_code.co_filename == path else None

        found, shared = {}, {}
        for (name, item), after in zip(items.items(), [*list(items.values())[1:], None], strict=True):
            self.reached, began = set(), time.process_time()
            sys.settrace(enter)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            sys.settrace(None)
            if self.failed:
                return {"failed": self.failed}
            found[name] = self.reached
            shared[name] = [one for many in item._fixtureinfo.name2fixturedefs.values() for one in many]
            found[name] = (found[name], time.process_time() - began)
        return {
            name: (sorted(lines.union(*(self.fixtures.get(one, ()) for one in shared[name]))), seconds)
            for name, (lines, seconds) in found.items()
        }

    def _run(self, module: str, mutant: Mutant, items: list[pytest.Item]) -> dict[str, str | None]:
        path = str(_path(module))
        change_code(mutant, path, self.functions[path])
        for item, after in zip(items, [*items[1:], None], strict=True) if items else ():
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if self.failed:
                break
        return {"failed": self.failed}


def _in_fork(work: Any, seconds: int) -> tuple[Any, int]:
    """What a function gives in a forked process, or None if that ended before, and how it ended."""
    with tempfile.TemporaryFile() as answer:
        child = os.fork()
        if not child:
            try:
                gc.disable()
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(1, 2)
                used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                answer.write(json.dumps(work()).encode())
                answer.flush()
            except BaseException as error:
                answer.write(json.dumps({"broken": repr(error)}).encode())
                answer.flush()
            finally:
                os._exit(0)
        _, ended = os.waitpid(child, 0)
        answer.seek(0)
        written = answer.read()
        return (json.loads(written) if written else None), ended


def reason_of(change: str, known: dict[str, str]) -> str | None:
    """Why a mutant survives, where that is known: it changes nothing that a test on a CPU can see."""
    lines = change.split("\n")
    for argument, reason in ALWAYS.items():
        before, after = (
            re.sub(rf"\b{argument}=[\w.]+|[ ,]", "", "".join(line[1:] for line in lines if line[0] == sign))
            for sign in "-+"
        )
        if before == after:
            return reason
    if [line[2:].replace("=False", "=None") for line in lines[:1]] == [line[2:] for line in lines[1:]]:
        return "equal, None counts as False"
    return next((reason for key, reason in known.items() if key in change), None)


def table(outcomes: dict[str, Any], reasons: dict[str, dict[str, str]]) -> str:
    """The page: a row for each module, and under it what survived with the reason."""
    rows, lines, noticed, counted = [], list[str](), 0, 0
    for module in (one for one in MODULES if one in outcomes):
        one = outcomes[module]
        why = {diff: reason_of(diff, reasons.get(module, {})) for diff in one["survivors"]}
        equal = sum(why[diff] is not None for diff in one["survivors"])
        counts = one["tried"] - equal
        noticed, counted = noticed + one["noticed"], counted + counts
        left = len(one["survivors"]) - equal
        share = f"{one['noticed'] / counts:.0%}" if counts else "-"
        cells = [f"`{module}`", one["made"], one["tried"], one["noticed"], equal, left, share]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
        lines += [f"`{module}`, {why[diff] or 'not noticed'}:\n\n```diff\n{diff}\n```\n" for diff in one["survivors"]]
    heading = "| module | mutants | tried | noticed | equal | left | noticed of those not equal |"
    share = f"{noticed / counted:.1%}" if counted else "-"
    return "\n".join(
        [
            f"**{noticed} of {counted}** mutants tried that are not equal are noticed ({share}).\n",
            heading,
            re.sub(r"[^|]+", " --- ", heading),
            *rows,
            "",
            "## Planted bugs",
            "",
            "| bug | noticed by |",
            "| --- | --- |",
            *(
                f"| {fault} | {f'`{test}`' if test else '**no test**'} |"
                for fault, test in outcomes.get("planted", {}).items()
            ),
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
    parser.add_argument("--sample", type=int, default=60, help="mutants of a module at most; 0: all")
    parser.add_argument("--again", action="store_true", help="try what survived of the same sample with today's tests")
    parser.add_argument("--planted", action="store_true", help="only plant the bugs of planted_bugs.yaml")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--table", type=Path, help="write the table there, under its first heading")
    arguments = parser.parse_args()
    outcomes = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}
    known = outcomes.get("planted", {})
    bugs = (
        [] if arguments.modules else [bug for bug in yaml.safe_load(PLANTED.read_text()) if not known.get(bug["fault"])]
    )
    modules = arguments.modules or [one for one in MODULES if one not in outcomes and not arguments.planted]
    files = [file for module in modules for file in MODULES[module]] + [file for bug in bugs for file in bug["tests"]]
    tests = list(dict.fromkeys(str(REPOSITORY / "tests" / file) for file in files))
    if tests:
        with tempfile.TemporaryDirectory() as name:
            plain = ["-n", "0", "-s", "-p", "no:cacheprovider", "--tb=native", "--basetemp", f"{name}/base"]
            plugin = Mutating(modules, bugs, outcomes, arguments.sample, arguments.seed, arguments.again)
            if ended := pytest.main([*plain, *tests], plugins=[plugin]):
                sys.exit(ended)
    text = table(outcomes, yaml.safe_load(REASONS.read_text()) or {})
    if arguments.table:
        before = arguments.table.read_text() if arguments.table.exists() else "# Mutation testing\n"
        head = before.partition("\n\n**")[0]
        arguments.table.write_text(f"{head.rstrip()}\n\n{text}")
    else:
        print(text)


if __name__ == "__main__":
    main()
