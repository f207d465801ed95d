"""Mutants of a module: mutmut's changes of one expression each, and how a running process gets a mutant's code."""

import ast
import difflib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from types import CodeType, FunctionType

import libcst
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode


@dataclass(frozen=True)
class Mutant:
    """A changed text of a module: the changed lines, the function they are in, and the lines of the statement."""

    text: str
    function: str
    lines: frozenset[int]
    change: str


class Changes(MutationVisitor):
    """mutmut's changes but for error messages, and in decorated functions too: only their code is exchanged."""

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.Raise):
            return True
        decorated = isinstance(node, libcst.FunctionDef) and node.decorators
        return False if decorated else super()._skip_node_and_children(node)


def mutants_of(text: str, number: int | None, seed: str) -> tuple[list[Mutant], int]:
    """Some or all mutants of a module in the order of its lines, and how many there are."""
    wrapper = MetadataWrapper(libcst.parse_module(text))
    visitor = Changes(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    spans, tree = wrapper.resolve(WhitespaceInclusivePositionProvider), ast.parse(text)
    starts = list(accumulate(map(len, text.splitlines(keepends=True)), initial=0))
    inside = frozenset(line for _, lines in _functions(tree) for line in lines)
    found = [one for one in visitor.mutations if spans[one.original_node].start.line in inside]
    chosen = sorted(random.Random(seed).sample(range(len(found)), min(number or len(found), len(found))))
    mutants = []
    for one in (found[place] for place in chosen):
        first, last = spans[one.original_node].start, spans[one.original_node].end
        before, after = text[: starts[first.line - 1] + first.column], text[starts[last.line - 1] + last.column :]
        changed = before + wrapper.module.code_for_node(one.mutated_node) + after
        mutants.append(_mutant(text, changed, tree, first.line))
    return mutants, len(found)


def planted(text: str, before: str, after: str) -> Mutant:
    """A module with one part of its text replaced.

    Raises:
        ValueError: if the part is not there, or more than once.
    """
    if text.count(before) != 1:
        raise ValueError(f"this text is there {text.count(before)} times, and was to be replaced once: {before}")
    line = text[: text.index(before)].count("\n") + 1
    return _mutant(text, text.replace(before, after), ast.parse(text), line)


def _mutant(text: str, changed: str, tree: ast.Module, line: int) -> Mutant:
    name = next(name for name, lines in _functions(tree) if line in lines)
    lines = min((lines for lines in _statements(tree) if line in lines), key=len)
    old, new = ([part.strip() for part in one.splitlines()] for one in (text, changed))
    diff = list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]
    change = "\n".join(f"{part[0]} {part[1:]}" for part in diff if part[0] in "+-")
    return Mutant(changed, name, frozenset(lines), change)


def _functions(tree: ast.Module | ast.ClassDef, owner: str = "") -> Iterator[tuple[str, range]]:
    """The functions and methods by name, with their lines."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield owner + node.name, range(node.lineno, node.end_lineno + 1)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{owner}{node.name}.")


def _statements(tree: ast.Module) -> Iterator[range]:
    """The lines of every statement; of one that holds others its heading, but all of a function, for its defaults."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield range(node.lineno, node.end_lineno + 1)
        elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case) and hasattr(node, "lineno"):
            body = getattr(node, "body", None)
            yield range(node.lineno, max(body[0].lineno, node.lineno + 1) if body else node.end_lineno + 1)


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
