"""`sase-gan bench`: speed and memory on this machine, each as a ratio to a stated reference in the same run."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sase_gan.commands import bench_speed
from sase_gan.commands.options import DeviceOption, PrecisionOption, ThreadsOption, former_names, parse_size

TableOption = Annotated[Path | None, typer.Option("--out", help="Also write the table to this Markdown file.")]
RealArgument = Annotated[Path, typer.Argument(help="Real pictures, 40 or more: a folder or zip.")]
SideOption = Annotated[int | None, typer.Option("--image-size", help="Bring all to this side. [default: their own]")]
FirstOption = Annotated[int | None, typer.Option("--max-images", min=40, help="Only the first by name.")]

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command("gpu")(bench_speed.gpu)
app.command("history")(bench_speed.history)
app.command("sample")(bench_speed.sample)
app.command("sizes")(bench_speed.sizes)
app.command("soak")(bench_speed.soak)


@app.command("train")
def train(
    presets: Annotated[list[str] | None, typer.Argument(help="Presets to time; default cpu and paper_256.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Instead of the presets' own.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instead of the presets' own.")] = None,
    steps: Annotated[int, typer.Option(help="Timed steps of each.")] = 5,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    plain: Annotated[bool, typer.Option(help="Also time the plain form of each preset.")] = True,
) -> None:
    """Time the real training step of presets, and of their plain forms; each runs in a process of its own.

    Perceptual networks that are not on this machine are built with random weights: the cost is the same.
    """
    from dataclasses import replace

    from sase_gan.config import resolve
    from sase_gan.hardware import choose_hardware
    from sase_gan.precision import settled
    from sase_gan.runs.cost import measure_training
    from sase_gan.training.config import LowShotConfig

    hardware = choose_hardware(device, precision, threads)
    names = presets or ["cpu", "paper_256"]
    changes = {"image_size": image_size, "optimiser": {"batch_size": batch_size}}
    rows = []
    reference: float | None = None
    for name in names:
        config = resolve(LowShotConfig, preset=name, flags=changes, task="low_shot")
        hardware = replace(hardware, precision=precision or settled(config.precision, hardware))
        untrained = config.loss.reconstruction.startswith("lpips")
        for form in ("fast", "plain") if plain else ("fast",):
            settings = {"steps": steps, "plain": form == "plain", "untrained_perceptual": untrained}
            cost = in_own_process(measure_training, config, hardware, **settings)
            reference = reference or cost.seconds_per_step
            times = f"{cost.seconds_per_step:.3f}", f"{cost.cpu_seconds_per_step:.3f}", f"{cost.images_per_second:.2f}"
            speed = f"{reference / cost.seconds_per_step:.2f}x"
            rows.append((name, form, hardware.precision, *times, f"{cost.peak_memory_mb:,.0f}", speed))
    title = f"training on {hardware.name}, {hardware.threads} threads, {steps} steps"
    headings = ("preset", "form", "precision", "s/step", "CPU s/step", "images/s", "peak MB", "speed")
    print_table(title, headings, rows, words=3)
    typer.echo(f"speed is relative to the first row ({names[0]}, fast)")


@app.command("models")
def models(
    backbones: Annotated[
        list[str] | None, typer.Argument(help="Backbones such as resnet50 or cifar_resnet18; default all.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Only these layers, with commas: bn,an,sase,aw,emsa,se...")] = None,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Also time each network in evaluation; minutes on a CPU.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures in a timed batch.")] = 8,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    out: TableOption = None,
) -> None:
    """List every recognition backbone with its parameters and multiply-adds, beside the papers' published figures."""
    from sase_gan.hardware import choose_hardware
    from sase_gan.recognition.backbones.choices import LAYERS
    from sase_gan.recognition.backbones.cost import BACKBONES, bench_models, models_table

    chosen = list(LAYERS) if layers is None else [name.strip() for name in layers.split(",")]
    hardware = choose_hardware(device, "32-true", threads)
    costs = bench_models(
        backbones or BACKBONES, layers=chosen, throughput=throughput, device=hardware.kind, batch_size=batch_size
    )
    note = f"images/s: batches of {batch_size} in evaluation on {hardware.name}, {hardware.threads} threads"
    _tell([models_table(costs), note] if throughput else [models_table(costs)], out, end="\n")


@app.command("layers", cls=former_names({"--size": "--side"}))
def layers(
    channels: Annotated[int, typer.Option(min=8, help="Channels of the maps.")] = 64,
    side: Annotated[int, typer.Option(min=1, help="Of the maps.")] = 28,
    batch_size: Annotated[int, typer.Option(min=2, help="Maps in a batch.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes, of which the median counts.")] = 5,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    out: TableOption = None,
) -> None:
    """Time each layer, forward and backward, against a plain loop that computes the same."""
    from sase_gan.hardware import choose_hardware
    from sase_gan.recognition.backbones.cost import bench_layers, layers_table

    hardware = choose_hardware(device, "32-true", threads)
    costs = bench_layers(channels=channels, size=side, batch_size=batch_size, device=hardware.kind, repeats=repeats)
    clock = "seconds of the processors" if hardware.kind == "cpu" else "by the clock"
    note = f"forward and backward, median of {repeats}, {clock}, on {hardware.name}, {hardware.threads} threads"
    _tell([layers_table(costs), f"{note}; ratio: how many times faster than the loop"], out, end="\n")


def in_own_process(measure: Any, config: Any, hardware: Any, **settings: Any) -> Any:
    """Peak memory is a property of a process, so each measurement has its own, with as many threads."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from sase_gan.hardware import choose_hardware

    chosen = hardware.kind, hardware.precision, hardware.threads
    with ProcessPoolExecutor(1, get_context("spawn"), choose_hardware, chosen) as pool:
        return pool.submit(measure, config, hardware, **settings).result()


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 0) -> None:
    """Print a table whose first columns hold words and whose others hold numbers, flush right."""
    from rich.console import Console
    from rich.table import Column, Table

    columns = [Column(name, justify="left" if place < words else "right") for place, name in enumerate(headings)]
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@app.command("metrics")
def metrics(
    real: RealArgument,
    image_size: SideOption = None,
    max_images: FirstOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Which random half plays the training set.")] = 0,
    out: TableOption = None,
) -> None:
    """Show how every figure moves: held-out pictures disturbed step by step, then copies of the training half.

    Ends with code 1 when copies are not called red, or the untouched held-out half is not called green.
    """
    from sase_gan.evaluation.calibration import ladder, ladder_table

    images, note = _real_pictures(real, image_size, max_images)
    rungs = []
    for rung in ladder(images, seed=seed):
        typer.echo(f"{rung.name}: copying {rung.record.colour('copying')}", err=True)
        rungs.append(rung)
    _tell([f"{note}; half of them, drawn with seed {seed}, play the training set", ladder_table(rungs)], out)
    _check({rung.name: rung.record.colour("copying") for rung in rungs}, "held-out half, as it is")


@app.command("gates")
def gates(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot, or a run, of a generator with SASE gates.")],
    count: Annotated[int, typer.Option(min=1, help="Pictures, from seed 0 on.")] = 64,
    out: TableOption = None,
) -> None:
    """What do gates do? Shares of pixels that change by 8 levels or more: masks closed by hand, styles borrowed."""
    from sase_gan.api.models import find_snapshot
    from sase_gan.drawing.gate_figures import gate_figures, gates_table
    from sase_gan.networks.load import load_generator

    folder = find_snapshot(snapshot)
    found = gate_figures(load_generator(folder), range(count))
    _tell([f"{folder.name}, {count} pictures, shares of their pixels", gates_table(found)], out, end="\n")


@app.command("copying")
def copying(
    real: RealArgument,
    image_size: SideOption = None,
    max_images: FirstOption = None,
    out: TableOption = None,
) -> None:
    """Do the limits of the copying verdict hold on these pictures? Honest halves, and all kinds of copies, judged.

    Ends with code 1 when copies are not called red.
    """
    from sase_gan.evaluation.calibration import calibrate, calibration_table

    images, note = _real_pictures(real, image_size, max_images)
    honest, copies = calibrate(images)
    _tell([note, calibration_table(honest, copies)], out)
    _check({item.name: item.colour for item in copies})


def _real_pictures(path: Path, image_size: int | None, max_images: int | None) -> tuple[Any, str]:
    from sase_gan.datasets.images import load_image_set
    from sase_gan.errors import DataError

    found = load_image_set(path, image_size=image_size, max_images=max_images)
    if len(found) < 40:
        raise DataError(f"{path} holds {len(found)} pictures; at least 40 are needed, so that halves give verdicts.")
    height, width = found.images.shape[-2:]
    return found.images, f"{len(found)} pictures of {path.name}, {width} x {height} px"


def _tell(parts: Sequence[str], out: Path | None, end: str = "") -> None:
    from sase_gan.files import write_atomically

    text = "\n\n".join(parts)
    typer.echo(text)
    if out is not None:
        with write_atomically(out) as temporary:
            temporary.write_text(text + end, encoding="utf-8")


def _check(colours: dict[str, str], honest: str | None = None) -> None:
    from sase_gan.evaluation.calibration import MUST_BE_RED

    wrong = [f"{name} is {colours[name]}, not red" for name in MUST_BE_RED if colours[name] != "red"]
    if honest is not None and colours[honest] != "green":
        wrong.append(f"{honest} is {colours[honest]}, not green")
    if wrong:
        typer.echo(f"The copying verdict does not hold here: {'; '.join(wrong)}.", err=True)
        raise typer.Exit(1)


@app.command("one-shot")
def one_shot(
    preset: Annotated[str, typer.Argument(help="Preset to time.")] = "quick",
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the picture in px.")] = "250x188",
    max_size: Annotated[int | None, typer.Option(help="Longer side; instead of the preset's own.")] = None,
    steps: Annotated[int, typer.Option(help="Timed iterations of each stage; the fastest counts.")] = 3,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    width: Annotated[int | None, typer.Option(hidden=True, help="Former spelling of --size.")] = None,
    height: Annotated[int | None, typer.Option(hidden=True, help="Former spelling of --size.")] = None,
) -> None:
    """Time the iteration of every stage of a run on one picture against the straightforward loop.

    That loop draws from the coarsest stage in every iteration, one picture after the other, applies gates at the
    target's size, and lets the discriminator take gradients in the generator's step.
    """
    from sase_gan.config import resolve
    from sase_gan.hardware import choose_hardware
    from sase_gan.runs.cost import measure_picture_training
    from sase_gan.training.config import OneShotConfig, sized_for

    hardware = choose_hardware(device, precision, threads)
    rows_given, columns_given = parse_size(size)
    picture = (height or rows_given, width or columns_given)
    flags = {"pyramid": {"max_size": max_size}}
    config = sized_for(resolve(OneShotConfig, preset=preset, flags=flags, task="one_shot"), picture)
    settings = {"steps": steps, "budget": float("inf")}
    fast, plain = (
        in_own_process(measure_picture_training, config, hardware, plain=form, **settings) for form in (False, True)
    )
    rows = []
    found = zip(config.generator.sizes, fast.seconds_per_iteration, plain.seconds_per_iteration, strict=True)
    for stage, ((high, wide), quick, slow) in enumerate(found):
        times = f"{quick:.3f}", f"{slow:.3f}", f"{slow / quick:.2f}x"
        rows.append((f"{wide}x{high}", f"{config.iterations(stage):,}", *times))
    rows.append(("run", f"{config.total_images:,}", f"{fast.seconds:,.0f}", f"{plain.seconds:,.0f}", ""))
    title = f"one picture, {preset}, {hardware.name}, {hardware.precision}, {hardware.threads} threads"
    print_table(title, ("stage", "iterations", "fast s", "plain s", "speed"), rows)
    typer.echo(f"the whole run is {plain.seconds / fast.seconds:.2f} times as fast as the straightforward loop")
    typer.echo(f"peak memory {fast.peak_memory_mb:,.0f} MB, straightforward {plain.peak_memory_mb:,.0f} MB")


@app.command("instant")
def instant(
    pictures: Annotated[Path, typer.Argument(help="A folder or zip of pictures, or one; crops of them make up more.")],
    sides: Annotated[str, typer.Option(help="Sides in px, with commas; the longer one of one picture.")] = "64,128,256",
    counts: Annotated[
        str, typer.Option(help="Training pictures, with commas; 1 takes the free form, and the picture's proportions.")
    ] = "25,100,1000",
    drawn: Annotated[int, typer.Option(min=1, help="Timed pictures of each.")] = 8,
    threads: ThreadsOption = 1,
    device: DeviceOption = "auto",
    out: TableOption = None,
) -> None:
    """Time models without training: CPU seconds to make one and to draw a picture, each in a process of its own."""
    from sase_gan.hardware import choose_hardware
    from sase_gan.runs.instant_cost import InstantRequest, measure_instant

    hardware = choose_hardware(device, "32-true", threads)
    lines = ["| pictures | side | form | CPU s to make | CPU s a picture | memory at most |", "|" + " --- |" * 6]
    for count in _whole_numbers(counts, "--counts"):
        for side in _whole_numbers(sides, "--sides"):
            request = InstantRequest(pictures, count, side)
            cost = in_own_process(measure_instant, request, hardware, drawn=drawn)
            memory = f"{cost.peak_memory_mb / 1000:.2f} GB"
            times = f"{cost.seconds_to_make:.1f} | {cost.seconds_a_picture:.2f}"
            lines.append(f"| {count:,} | {side} px | {cost.form} | {times} | {memory} |")
            typer.echo(lines[-1], err=True)
    note = f"{drawn} pictures each, on {hardware.name}, {hardware.threads} threads, mirror images too where aligned"
    _tell(["\n".join(lines), note], out, end="\n")


def _whole_numbers(text: str, option: str) -> list[int]:
    from sase_gan.errors import UsageError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"{option} is {text!r}; it must be whole numbers above 0 with commas, such as 64,128")
    return [int(part) for part in parts]
