"""The command line: the table of commands. Nothing heavy is imported here; each command imports inside its function."""

import os
import sys
from typing import Any, NoReturn

import typer

from sase_gan.commands import (
    bench,
    classify,
    compare,
    data,
    demo,
    detect,
    directions,
    doctor,
    evaluate,
    export,
    film,
    finish,
    hub,
    inject,
    invert,
    options,
    recombine,
    report,
    sample,
    scenes,
    studio,
    study,
    train,
    weights,
)
from sase_gan.errors import SaseGanError
from sase_gan.memory import memory_error, out_of_memory
from sase_gan.places import place_error

app = typer.Typer(
    help="Train an image generator from very few pictures, and see honestly how good and how original it is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train", cls=options.resume_newest())(train.train)
app.command("demo")(demo.demo)
app.command("sample")(sample.sample)
app.command("invert")(invert.invert)
app.command("directions")(directions.directions)
app.command("finish")(finish.finish)
app.command("film")(film.film)
app.command("recombine")(recombine.recombine)
app.command("scenes")(scenes.scenes)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("study")(study.study)
app.add_typer(
    export.app, name="export", help="Write ONNX, torch.export programs, and a page that draws in the browser."
)
app.add_typer(inject.app, name="inject", help="Harmonise, edit, paint, animate and tile with a model of one picture.")
app.add_typer(data.app, name="data", help="Check, prepare, preview and fetch pictures.")
app.add_typer(weights.app, name="weights", help="Pretrained weights of the evaluators.")
app.add_typer(bench.app, name="bench", help="Measure speed and memory on this machine.")
app.add_typer(classify.app, name="classify", help="Recognise classes of pictures, with the layers of the papers.")
app.add_typer(detect.app, name="detect", help="Find objects in pictures, with boxes and masks.")
app.command("push")(hub.push)
app.command("pull")(hub.pull)
app.command("studio")(studio.studio)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run a command; a mistake of the user's ends in one sentence and the exit code of its kind."""
    try:
        app()
    except SaseGanError as error:
        _say(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has gone, as `| head` does; what is still to be said has no reader.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        explained = place_error(error)
        if explained is None:
            raise
        _say(explained)
        sys.exit(explained.exit_code)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        _say(memory_error("this", "ask for fewer or smaller pictures"))
        sys.exit(1)
    except KeyboardInterrupt as event:
        _say_interrupted(event)
    except SystemExit as end:
        # typer makes a silent exit of Ctrl-C.
        cause: Any = getattr(end.__context__, "__cause__", None)
        if not isinstance(cause, KeyboardInterrupt):
            raise
        _say_interrupted(cause)


def _say_interrupted(event: KeyboardInterrupt) -> NoReturn:
    print(f"sase-gan: interrupted; {event}" if str(event) else "sase-gan: interrupted", file=sys.stderr)
    sys.exit(130)


def _say(error: SaseGanError) -> None:
    """Print the sentence; names in it may hold signs that would command the terminal, or that it cannot show."""
    text = "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in str(error))
    print(f"sase-gan: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
