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
import ast
import difflib
import gc
import importlib
import json
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import libcst
import pytest
import yaml
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

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
MEMORY = 4 << 30
"""Bytes that a fork may take beyond what its parent has."""


@dataclass(frozen=True)
class Mutant:
    """A changed text of a module: the changed lines, the function they are in, and the lines of the statement."""

    text: str
    function: str
    lines: frozenset[int]
    change: str


class Changes(MutationVisitor):
    """mutmut's changes, in decorated functions too: their code alone is changed, so nothing is decorated twice."""

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        decorated = isinstance(node, libcst.FunctionDef) and node.decorators
        return False if decorated else super()._skip_node_and_children(node)


def mutants_of(text: str, number: int | None, seed: str) -> tuple[list[Mutant], int]:
    """Some or all mutants of a module in the order of its lines, and how many there are."""
    wrapper = MetadataWrapper(libcst.parse_module(text))
    visitor = Changes(mutation_operators, IgnoredCode(set(), set(), set()))
    visitor._skip_node_and_children = lambda node, skip=visitor._skip_node_and_children: (  # type: ignore[method-assign]
        isinstance(node, libcst.Raise) or skip(node)
    )
    wrapper.visit(visitor)
    names = dict(_functions(wrapper.module.body))
    positions = wrapper.resolve(PositionProvider)
    statements = sorted(_statements(ast.parse(text)), key=len)
    inside = [one for one in visitor.mutations if one.contained_by_top_level_function in names]
    chosen = sorted(random.Random(seed).sample(range(len(inside)), min(number or len(inside), len(inside))))
    mutants = []
    for one in (inside[place] for place in chosen):
        changed = wrapper.module.deep_replace(one.original_node, one.mutated_node).code
        line = positions[one.original_node].start.line
        lines = next(frozenset(lines) for lines in statements if line in lines)
        mutants.append(Mutant(changed, names[one.contained_by_top_level_function], lines, _change(text, changed)))
    return mutants, len(inside)


def _functions(body: Iterable[libcst.CSTNode], owner: str = "") -> Iterator[tuple[libcst.CSTNode, str]]:
    for node in body:
        if isinstance(node, libcst.FunctionDef):
            yield node, owner + node.name.value
        elif isinstance(node, libcst.ClassDef):
            yield from _functions(node.body.body, f"{node.name.value}.")


def _statements(tree: ast.Module) -> Iterator[range]:
    """The lines of every statement; of one that holds others its heading, but all of a function, for its defaults."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield range(node.lineno, node.end_lineno + 1)
        elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case) and hasattr(node, "lineno"):
            body = getattr(node, "body", None)
            yield range(node.lineno, max(body[0].lineno, node.lineno + 1) if body else node.end_lineno + 1)


def _change(before: str, after: str) -> str:
    """The changed lines."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    return "\n".join(line[0] + " " + line[1:].strip() for line in lines if line[0] in "+-")


def change_code(mutant: Mutant, path: str, functions: dict[str, list[FunctionType]]) -> None:
    """Give the functions of that name in this process the code and the defaults of the mutant."""
    module = compile(mutant.text, path, "exec", dont_inherit=True)
    code = next(part for part in _codes(module) if part.co_qualname == mutant.function)
    tree = ast.parse(mutant.text)
    for name in mutant.function.split(".")[:-1]:
        tree = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    name = mutant.function.rpartition(".")[2]
    definition = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    for function in functions[mutant.function]:
        # A method that no longer says super() has lost its class; it may keep it.
        function.__code__ = code.replace(co_freevars=function.__code__.co_freevars)
        for keyword, default in zip(definition.args.kwonlyargs, definition.args.kw_defaults, strict=True):
            if isinstance(default, ast.Constant) and function.__kwdefaults__:
                function.__kwdefaults__[keyword.arg] = default.value
        if function.__defaults__:
            function.__defaults__ = tuple(
                node.value if isinstance(node, ast.Constant) else value
                for node, value in zip(definition.args.defaults, function.__defaults__, strict=True)
            )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _codes(part)


class Mutating:
    """A plugin of pytest: what it does with the collected tests in place of running them."""

    def __init__(self, modules: list[str], outcomes: dict[str, Any], number: int | None, seed: int) -> None:
        self.modules, self.outcomes, self.number, self.seed = modules, outcomes, number, seed
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
        for module in self.modules:
            importlib.import_module(f"sase_gan.{module.replace('/', '.')}")
        gc.collect()
        for one in gc.get_objects():
            if type(one) is FunctionType:  # some objects warn when asked for more
                named = self.functions.setdefault(one.__code__.co_filename, {})
                named.setdefault(one.__code__.co_qualname, []).append(one)
        gc.freeze()
        for module in self.modules:
            path = REPOSITORY / "sase_gan" / f"{module}.py"
            mine = tuple(f"tests/{test}::" for test in MODULES[module])
            items = {item.nodeid: item for item in session.items if item.nodeid.startswith(mine)}
            self.outcomes[module] = self._mutate(module, path, items)
            OUTCOMES.parent.mkdir(exist_ok=True)
            OUTCOMES.write_text(json.dumps(self.outcomes, indent=1))
            print(
                module, {key: value for key, value in self.outcomes[module].items() if key != "survivors"}, flush=True
            )
        return True

    def _mutate(self, module: str, path: Path, items: dict[str, pytest.Item]) -> dict[str, Any]:
        """How many mutants of a module there are, were tried and were noticed, CPU seconds, and what survived."""
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        tests, _ = _in_fork(partial(self._trace, str(path), items), 3600)
        if not tests or "failed" in tests or "broken" in tests:
            raise RuntimeError(f"The tests of {module} fail as they are: {tests}")
        functions = self.functions[str(path)]
        mutants, made = mutants_of(path.read_text(), self.number, f"{module} {self.seed}")
        noticing = dict.fromkeys(tests, 0)
        found: dict[str, Any] = {"made": made, "tried": len(mutants), "noticed": 0, "endless": 0, "survivors": []}
        for mutant in mutants:
            near = [name for name, (lines, _) in tests.items() if mutant.lines & set(lines)]
            near.sort(key=lambda name: (-noticing[name], tests[name][1]))
            limit = int(10 + 5 * sum(tests[name][1] for name in near))
            run = partial(self._run, mutant, path, functions, [items[one] for one in near])
            outcome, ended = _in_fork(run, limit)
            if outcome and "broken" in outcome:
                raise RuntimeError(f"{module}, {mutant.function}: {outcome['broken']}\n{mutant.change}")
            if outcome is None:
                found["endless"] += 1
                print(module, "ended with", ended, mutant.change.replace("\n", "   "), flush=True)
            elif outcome.get("failed"):
                noticing[outcome["failed"]] = max(noticing.values()) + 1
            else:
                found["survivors"].append(("" if near else "not reached\n") + mutant.change)
                print(module, mutant.function, found["survivors"][-1].replace("\n", "   "), flush=True)
            found["noticed"] += outcome is None or bool(outcome.get("failed"))
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        found["seconds"] = round(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
        found["tests"] = round(sum(seconds for _, seconds in tests.values()), 1)
        return found

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

    def _run(
        self, mutant: Mutant, path: Path, functions: dict[str, list[FunctionType]], items: list[pytest.Item]
    ) -> dict[str, str | None]:
        change_code(mutant, str(path), functions)
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
        one = outcomes[module]
        why = {diff: reason_of(diff, reasons.get(module, {})) for diff in one["survivors"]}
        equal = sum(why[diff] is not None for diff in one["survivors"])
        counts = one["tried"] - equal
        noticed, counted = noticed + one["noticed"], counted + counts
        left = len(one["survivors"]) - equal
        share = f"{one['noticed'] / counts:.0%}" if counts else "-"
        cells = [f"`{module}`", one["made"], one["tried"], one["noticed"], equal, left, share, one["seconds"]]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
        lines += [
            f"* `{module}`, {why[diff] or 'not noticed'}:\n\n  ```diff\n"
            + "".join(f"  {x}\n" for x in diff.split("\n"))
            + "  ```"
            for diff in one["survivors"]
        ]
    heading = "| module | mutants | tried | noticed | equal | left | noticed of those not equal | CPU s |"
    share = f"{noticed / counted:.1%}" if counted else "-"
    return "\n".join(
        [
            f"**{noticed} of {counted}** mutants tried that are not equal are noticed ({share}).\n",
            heading,
            re.sub(r"[^|]+", " --- ", heading),
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
    parser.add_argument("--sample", type=int, default=60, help="mutants of a module at most; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--table", type=Path, help="write the table there, under its first heading")
    arguments = parser.parse_args()
    outcomes = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}
    modules = arguments.modules or [one for one in MODULES if one not in outcomes]
    tests = dict.fromkeys(str(REPOSITORY / "tests" / test) for module in modules for test in MODULES[module])
    if modules:
        with tempfile.TemporaryDirectory() as name:
            plain = ["-n", "0", "-s", "-p", "no:cacheprovider", "--basetemp", f"{name}/base"]
            plugin = Mutating(modules, outcomes, arguments.sample, arguments.seed)
            pytest.main([*plain, *tests], plugins=[plugin])
    text = table(outcomes, yaml.safe_load(REASONS.read_text()) or {})
    if arguments.table:
        before = arguments.table.read_text() if arguments.table.exists() else "# Mutation testing\n"
        head = before.partition("\n\n**")[0]
        arguments.table.write_text(f"{head.rstrip()}\n\n{text}")
    else:
        print(text)


if __name__ == "__main__":
    main()
