"""`sase-gan bench gpu`, `sample`, `sizes`, `history`, `soak`: the record of speed, its plots, how steady a run is."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sase_gan.commands.options import DeviceOption, PrecisionOption, ThreadsOption

if TYPE_CHECKING:
    from sase_gan.runs.drawing_cost import DrawingRequest

RECORD = Path("results") / "speed.csv"


def gpu(
    image_size: Annotated[list[int] | None, typer.Option(help="Sides in pixels. [default: 256, 128, 512]")] = None,
    batch_size: Annotated[list[int] | None, typer.Option(help="Pictures a step. [default: 8, 32, 64]")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Timed steps of each case.")] = 10,
    minutes: Annotated[float, typer.Option(help="Begin no case that would end later, and break off what does.")] = 9.0,
    limit: Annotated[float, typer.Option(help="Seconds after which a case is given up, and the next begins.")] = 120.0,
    device: DeviceOption = "cuda",
    threads: ThreadsOption = None,
    out: Annotated[Path, typer.Option(help="The record of speed to add to.")] = RECORD,
) -> None:
    """Time `gpu` in bfloat16 and float32 beside `paper_256` in float32, and add the figures to the record.

    Needs nothing but the checkout: pictures are random, perceptual networks have random weights. A case that fails or
    hangs is a row that says so, and the next goes on.
    """
    from sase_gan.commands.bench import print_table
    from sase_gan.hardware import choose_hardware
    from sase_gan.runs import speed_record, speed_sweep

    hardware = choose_hardware(device, "32-true", threads)
    chosen = list(speed_sweep.cases(tuple(image_size or (256, 128, 512)), tuple(batch_size or (8, 32, 64))))
    speeds: dict[speed_sweep.Case, float] = {}
    table, count = [], 0
    for outcome in speed_sweep.sweep(chosen, hardware, steps=steps, seconds=60 * minutes, limit=limit):
        count += 1
        case, cost = outcome.case, outcome.cost
        if cost is not None:
            speeds[case] = cost.images_per_second
        value, reference = speeds.get(case, float("nan")), speeds.get(case.reference, float("nan"))
        row = speed_record.measured_now(
            hardware,
            command=f"sase-gan bench gpu --device {device} --steps {steps}",
            case=str(case),
            value=value,
            unit="images/s",
            reference=str(case.reference),
            ratio=value / reference,
            share_of_peak=outcome.share_of_peak,
            memory_mb=cost.peak_memory_mb if cost else None,
            note=outcome.problem,
        )
        speed_record.append(out, [row])
        if cost is None:
            table.append((row.case, outcome.problem, "", "", ""))
            continue
        share = f"{outcome.share_of_peak:.0%}"
        table.append((row.case, f"{value:.1f}", f"{row.ratio:.2f}x", share, f"{cost.peak_memory_mb:,.0f}"))
    headings = ("case", "images/s", "speed", "share of peak", "peak MB")
    print_table(f"training on {hardware.name}, {steps} steps", headings, table, words=1)
    typer.echo(f"speed: against {speed_sweep.REFERENCE} in float32 at the same size and batch; added to {out}")
    if count < len(chosen):
        left = ", ".join(str(case) for case in chosen[count:])
        typer.echo(f"no time was left for: {left}")


def sample(
    source: Annotated[
        str, typer.Argument(help="Snapshot or run folder, or a preset such as gpu, with untrained weights.")
    ] = "gpu",
    image_size: Annotated[int | None, typer.Option(help="Of a preset, instead of its own.")] = None,
    batch_size: Annotated[list[int] | None, typer.Option(min=1, help="Pictures drawn at once. [default: 1, 8]")] = None,
    passes: Annotated[int, typer.Option(min=1, help="Timed batches, of which the fastest counts.")] = 5,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    out: Annotated[Path, typer.Option(help="The record of speed to add to.")] = RECORD,
) -> None:
    """Time the drawing of a picture beside the plain form of the same layers, and add the figures to the record.

    Each is measured in a process of its own: CPU seconds of all threads, or the clock's on a GPU.
    """
    from sase_gan.commands.bench import in_own_process, print_table
    from sase_gan.config import list_presets
    from sase_gan.hardware import choose_hardware
    from sase_gan.runs import speed_record
    from sase_gan.runs.drawing_cost import DrawingRequest, measure_drawing

    hardware = choose_hardware(device, "32-true", threads)
    known = f"low_shot/{source}" in list_presets("low_shot") and not Path(source).exists()
    request = DrawingRequest(preset=source, image_size=image_size) if known else _snapshot(source, image_size)
    unit = f"{hardware.unit} a picture"
    table = []
    for size in batch_size or (1, 8):
        fast, plain = (
            in_own_process(measure_drawing, request, hardware, batch_size=size, passes=passes, plain=form)
            for form in (False, True)
        )
        case = f"drawing {source} {'x'.join(map(str, fast.image_size))} px batch {size}"
        ratio = plain.seconds_a_picture / fast.seconds_a_picture
        asked = "" if image_size is None else f" --image-size {image_size}"
        row = speed_record.measured_now(
            hardware,
            command=f"sase-gan bench sample {source}{asked} --batch-size {size} --threads {hardware.threads}",
            case=case,
            value=fast.seconds_a_picture,
            unit=unit,
            reference=f"plain layers, {plain.seconds_a_picture:.4g} {unit}",
            ratio=ratio,
            share_of_peak=fast.share_of_peak,
            memory_mb=fast.peak_memory_mb,
        )
        speed_record.append(out, [row])
        share = "" if fast.share_of_peak is None else f"{fast.share_of_peak:.0%}"
        table.append((case, f"{row.value:.3f}", f"{ratio:.2f}x", share, f"{fast.peak_memory_mb:,.0f}"))
    print_table(f"{hardware.name}, {hardware.threads} threads", ("case", unit, "speed", "share of peak", "MB"), table)
    typer.echo(f"speed: against plain layers, channels first; added to {out}")


def sizes(
    presets: Annotated[list[str] | None, typer.Argument(help="Presets to time; default cpu and gpu.")] = None,
    image_size: Annotated[list[int] | None, typer.Option(help="Sides in pixels. [default: 64, 128, 256]")] = None,
    batch_size: Annotated[list[int] | None, typer.Option(help="Pictures a step. [default: 4, 8, 16]")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Timed steps of each case, after two to warm up.")] = 3,
    minutes: Annotated[float, typer.Option(help="Begin no case that would end later, and break off what does.")] = 60.0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    precision: PrecisionOption = None,
    out: Annotated[Path, typer.Option(help="The table; the plot is beside it, as .svg.")] = Path("sizes.md"),
) -> None:
    """Time the training step over image sizes and batches: a table and a plot of seconds and memory."""
    from sase_gan.files import write_atomically
    from sase_gan.hardware import choose_hardware
    from sase_gan.precision import settled
    from sase_gan.report.cost_table import markdown, plot
    from sase_gan.runs import speed_sweep

    hardware = choose_hardware(device, precision, threads)
    multiplied = precision or settled("auto", hardware)
    chosen = [
        speed_sweep.Case(preset, side, batch, multiplied)
        for preset in presets or ("cpu", "gpu")
        for side in image_size or (64, 128, 256)
        for batch in batch_size or (4, 8, 16)
    ]
    outcomes = []
    for outcome in speed_sweep.sweep(chosen, hardware, steps=steps, seconds=60 * minutes, limit=60 * minutes):
        outcomes.append(outcome)
        typer.echo(f"{outcome.case}: {outcome.problem or 'measured'}", err=True)
        with write_atomically(out) as temporary:
            temporary.write_text(markdown(outcomes, hardware), encoding="utf-8")
        with write_atomically(out.with_suffix(".svg")) as temporary:
            temporary.write_text(plot(outcomes, hardware), encoding="utf-8")
    typer.echo(f"the table is in {out}, the plot in {out.with_suffix('.svg')}")
    if left := chosen[len(outcomes) :]:
        typer.echo(f"no time was left for: {', '.join(map(str, left))}")


def _snapshot(source: str, image_size: int | None) -> "DrawingRequest":
    from sase_gan.api.models import find_snapshot
    from sase_gan.errors import UsageError
    from sase_gan.runs.drawing_cost import DrawingRequest

    if image_size is not None:
        raise UsageError(f"--image-size is {image_size}, and {source} draws its own size; leave it out")
    return DrawingRequest(snapshot=find_snapshot(source))


def history(
    record: Annotated[Path, typer.Argument(help="The record of speed.", show_default=True)] = RECORD,
    out: Annotated[Path | None, typer.Option(help="The plot. [default: beside the record, as .html]")] = None,
) -> None:
    """Draw how the ratios of the record have moved, a panel for each case, and list its last figures."""
    from sase_gan.commands.bench import print_table
    from sase_gan.files import write_atomically
    from sase_gan.report.plots import Line, lines_svg
    from sase_gan.runs import speed_record

    cases = speed_record.by_case(speed_record.read(record))
    out = out or record.with_suffix(".html")
    panels = []
    for case, rows in cases.items():
        line = Line("", list(range(1, len(rows) + 1)), [row.ratio for row in rows])
        alt = f"Speed of {case} as a multiple of {rows[-1].reference}"
        plot = lines_svg([line], alt=alt, x_label="measurement", level=1.0, level_label=rows[-1].reference)
        panels.append(f"<h2>{escape(case)}</h2>\n{plot}")
    page = '<!doctype html><meta charset="utf-8"><title>Speed</title><body style="font: 15px sans-serif">\n'
    with write_atomically(out) as temporary:
        temporary.write_text(page + "\n".join(panels))
    last = [
        (case, row.day, row.commit, f"{row.value:.4g} {row.unit}", f"{row.ratio:.2f}x")
        for case, (*_, row) in cases.items()
    ]
    print_table(
        f"the last measurement of each case in {record}", ("case", "day", "commit", "value", "ratio"), last, words=3
    )
    typer.echo(f"the plots are in {out}")


def soak(
    run: Annotated[Path, typer.Argument(help="The folder of a run that is training.")],
    pid: Annotated[int | None, typer.Option("--pid", help="Its process. [default: the one that holds the run]")] = None,
    hours: Annotated[float, typer.Option(help="Follow it so long, or until it ends.")] = 2.0,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 20.0,
    out: Annotated[Path | None, typer.Option("--out", help="What was seen. [default: soak.csv in the run]")] = None,
) -> None:
    """Follow a training process: within how many per cent do memory, file handles and images/s stay?

    Of each the first tenth of the time is left out; the medians of the first and of the last quarter of the rest are
    compared. Ends with code 1 when memory has grown by more than 3 per cent or file handles have become more.
    """
    from sase_gan.commands.bench import print_table
    from sase_gan.errors import DataError, UsageError
    from sase_gan.runs.folder import RunFolder
    from sase_gan.runs.lock import owner
    from sase_gan.runs.soak import course, follow, too_much

    if not run.is_dir():
        raise DataError(f"{run} does not exist; give the folder of a run that is training, such as runs/NAME")
    folder = RunFolder(run)
    if (found := pid or owner(folder)) is None:
        raise UsageError(f"no process trains in {run}; begin the run first, or name its process by --pid")
    out = out or run / "soak.csv"
    follow(found, folder, out, seconds=3600 * hours, every=every)
    courses = course(out, folder)
    rows = [
        (each.name, *(f"{value:,.4g}" for value in (each.first, each.last)), f"{each.drift:+.1%}", f"{each.spread:.1%}")
        for each in courses
    ]
    headings = ("what", "first quarter", "last quarter", "drift", "farthest from the median")
    print_table(f"process {found}, {courses[0].hours:.2f} h", headings, rows, words=1)
    typer.echo(f"all that was seen: {out}")
    if wrong := too_much(courses):
        typer.echo(f"Not steady: {'; '.join(wrong)}.", err=True)
        raise typer.Exit(1)
