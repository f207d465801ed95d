"""Options that several commands share, each spelt once here, and former spellings, which are still understood."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, overload

import typer
from typer.core import TyperCommand

DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", help="CPU threads; default: as many as others leave idle.")
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="32-true or bf16-mixed; default: the preset's, by device.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file, laid over the preset.")]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting, for example schedule.log_images=100; repeatable.")
]
SizeOption = Annotated[str | None, typer.Option("--size", help="WIDTHxHEIGHT of the result, such as 800x200.")]
ColoursOption = Annotated[
    str | None,
    typer.Option("--colours", help="Of the pictures: rgb, grey, or rgba, with transparency. [default: rgb]"),
]
BackgroundOption = Annotated[
    str | None,
    typer.Option(
        "--background",
        help="Colour behind transparent pixels and of padding: a name, or #rrggbb. [default: white]",
        metavar="COLOUR",
    ),
]
HoldoutOption = Annotated[
    float | None,
    typer.Option(
        "--holdout",
        help="Share of the pictures kept out of training, such as 10% or 0.1; at most half.",
        metavar="SHARE",
        parser=lambda text: share(text),
    ),
]
WeightsDirOption = Annotated[
    Path | None,
    typer.Option("--weights-dir", help="Folder of pretrained weights; else SASE_GAN_WEIGHTS and torch's hub folder."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show settings and what they cost; write nothing.")]

NEWEST = "-"
"""What `--resume` without a name stands for, see `runs.again`."""

# Of classify and detect.
SnapshotArgument = Annotated[Path, typer.Argument(help="A snapshot folder that a run wrote.")]
PicturesArgument = Annotated[Path, typer.Argument(help="A picture, a folder or a zip of pictures.")]
RunFolderOption = Annotated[Path | None, typer.Option("--out", help="The folder of a new run.")]
ScoresOption = Annotated[Path, typer.Option("--out", help="Where the scores and the report go.")]
NormOption = Annotated[str | None, typer.Option("--norm", help="batch or attentive.")]
ConvOption = Annotated[str | None, typer.Option("--conv", help="plain, sase, aw or grouped.")]
AttentionOption = Annotated[str | None, typer.Option("--attention", help="none, se, cbam or emsa.")]
EpochsOption = Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the training pictures.")]
PassOption = Annotated[int, typer.Option("--batch-size", min=1, help="Pictures at once.")]
ResumeOption = Annotated[Path | None, typer.Option("--resume", help="Go on with this run folder.")]


def samples_folder(source: str, kind: str = "samples") -> Path:
    """Name a folder for what is drawn, of each snapshot its own: `samples/RUN-SNAPSHOT`.

    Raises:
        DataError: if there is no such model.
    """
    from sase_gan.runs.finding import model_name

    return Path(kind) / model_name(source)


def tell_others(folder: Path, digest: str | None) -> None:
    """Say so where pictures of another snapshot lie in the folder: measured together they would be a mixture."""
    from sase_gan.datasets.own_output import drawn_in

    others = sum(count for other, count in drawn_in(folder).items() if other != digest)
    if others:
        typer.echo(
            f"{folder} also holds {others} pictures of another snapshot; choose another --out to keep them apart",
            err=True,
        )


def split_names(text: str | None) -> tuple[str, ...] | None:
    """Read names with commas between them; None stays None, and so does an empty text."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else None


@overload
def parse_size(text: str) -> tuple[int, int]: ...
@overload
def parse_size(text: str | None) -> tuple[int, int] | None: ...
def parse_size(text: str | None) -> tuple[int, int] | None:
    """Read height and width from `WIDTHxHEIGHT`; None stays None.

    Raises:
        UsageError: for anything else.
    """
    from sase_gan.errors import UsageError

    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 1):
        raise UsageError(f"size is {text!r}; write WIDTHxHEIGHT in pixels, for example 800x200")
    return int(height), int(width)


def share(text: str) -> float:
    """Read a share, see `config.parse_share`, whose import takes a moment."""
    from sase_gan.config import parse_share

    return parse_share(text)


def run_folder(
    out: Path | None, resume: Path | None, preset: str | None, config: Path | None
) -> tuple[Path, Path | None]:
    """Settle the folder of a new run, or of the one that goes on, and the file that its settings come from.

    A run goes on with its own settings where neither a preset nor a file is given.

    Raises:
        UsageError: for none of them or both; DataError: for a folder to go on with that holds no run.
    """
    from sase_gan.errors import UsageError
    from sase_gan.runs.folder import open_run

    if out is not None and resume is not None:
        raise UsageError(f"--out is {out} and --resume {resume}; give --out for a new run, --resume to go on with one")
    if resume is not None:
        run = open_run(resume)
        return run.path, config if preset or config else run.config
    if out is None:
        raise UsageError("no run folder was given; name a new one with --out, or one to go on with by --resume")
    return out, config


def former_names(
    former: Mapping[str, str] = MappingProxyType({}), *, resume_was_a_flag: bool = False
) -> type[TyperCommand]:
    """Make the class of a command that understands former names of its options; its help shows the present ones only.

    Hidden arguments, for what was an argument formerly, are left out of the usage line too.

    Args:
        resume_was_a_flag: `--out RUN --resume` is read as `--resume RUN`.

    Example:
        `@app.command(cls=former_names({"--accelerator": "--device"}))`
    """

    class Command(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            renamed = _renamed(args, former)
            return super().parse_args(ctx, _resume_with_folder(renamed) if resume_was_a_flag else renamed)

        def collect_usage_pieces(self, ctx: Any) -> list[str]:
            shown = [one for one in self.get_params(ctx) if not getattr(one, "hidden", False)]
            return ["[OPTIONS]", *(piece for one in shown for piece in one.get_usage_pieces(ctx))]

    return Command


def resume_newest() -> type[TyperCommand]:
    """Make the class of a command whose `--resume` needs no value."""

    class Command(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, _with_newest(args))

    return Command


def _with_newest(arguments: list[str]) -> list[str]:
    """Give a `--resume` that is followed by no name the sign for the newest run.

    Example:
        >>> _with_newest(["--resume", "--kimg", "20"]), _with_newest(["--resume", "runs/faces"])
        (['--resume', '-', '--kimg', '20'], ['--resume', 'runs/faces'])
    """
    result: list[str] = []
    for place, word in enumerate(arguments):
        result.append(word)
        if word == "--resume" and (place + 1 == len(arguments) or arguments[place + 1].startswith("--")):
            result.append(NEWEST)
    return result


def _renamed(arguments: Sequence[str], former: Mapping[str, str]) -> list[str]:
    """Give the arguments their present names; words behind `--` are no options.

    Example:
        >>> _renamed(["--dir", "a", "--dir=b", "--", "--dir"], {"--dir": "--weights-dir"})
        ['--weights-dir', 'a', '--weights-dir=b', '--', '--dir']
    """
    result: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return [*result, word, *words]
        name, equals, value = word.partition("=")
        result.append(f"{former.get(name, name)}{equals}{value}")
    return result


def _resume_with_folder(arguments: list[str]) -> list[str]:
    """Give `--resume` the folder that once stood behind `--out`.

    Example:
        >>> _resume_with_folder(["data", "--out", "run", "--resume", "--epochs", "2"])
        ['data', '--resume', 'run', '--epochs', '2']
    """
    following = [*arguments[1:], "--"]
    bare = [place for place, word in enumerate(arguments) if word == "--resume" and following[place].startswith("--")]
    if not bare or not any(word.partition("=")[0] == "--out" for word in arguments):
        return arguments
    kept = [word for place, word in enumerate(arguments) if place != bare[0]]
    return ["--resume" + word.removeprefix("--out") if word.partition("=")[0] == "--out" else word for word in kept]
