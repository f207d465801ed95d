"""`sase-gan bench`: speed and memory on this machine, each as a ratio to a stated reference in the same run."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command("train")
def train(
    presets: Annotated[list[str] | None, typer.Argument(help="Presets to time; default cpu and paper_256.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Instead of the presets' own.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instead of the presets' own.")] = None,
    steps: Annotated[int, typer.Option(help="Timed steps of each.")] = 5,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="32-true or bf16-mixed.")] = None,
    plain: Annotated[bool, typer.Option(help="Also time the plain form of each preset.")] = True,
) -> None:
    """Time the real training step of presets, and of their plain forms; each runs in a process of its own.

    Perceptual networks that are not on this machine are built with random weights: the cost is the same.
    """
    from rich.console import Console
    from rich.table import Table

    from sase_gan.hardware import choose_hardware

    hardware = choose_hardware(device, precision, threads)
    names = presets or ["cpu", "paper_256"]
    changes = {"image_size": image_size, "optimiser": {"batch_size": batch_size}}
    table = Table(title=f"training on {hardware.name}, {hardware.precision}, {hardware.threads} threads, {steps} steps")
    for column in ("preset", "form", "s/step", "CPU s/step", "images/s", "peak MB", "speed"):
        table.add_column(column, justify="left" if column in ("preset", "form") else "right")
    reference: float | None = None
    for name in names:
        for form in ("fast", "plain") if plain else ("fast",):
            cost = _in_own_process(name, changes, hardware, steps, form == "plain")
            reference = reference or cost.seconds_per_step
            table.add_row(
                name,
                form,
                f"{cost.seconds_per_step:.3f}",
                f"{cost.cpu_seconds_per_step:.3f}",
                f"{cost.images_per_second:.2f}",
                f"{cost.peak_memory_mb:,.0f}",
                f"{reference / cost.seconds_per_step:.2f}x",
            )
    Console().print(table)
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
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Also write the table to this Markdown file.")] = None,
) -> None:
    """List every recognition backbone with its parameters and multiply-adds, beside the papers' published figures."""
    from sase_gan.hardware import choose_hardware
    from sase_gan.recognition.bench import BACKBONES, ROWS, bench_models, models_table

    chosen = list(ROWS) if layers is None else [name.strip() for name in layers.split(",")]
    hardware = choose_hardware(device, "32-true", threads)
    costs = bench_models(
        backbones or BACKBONES, layers=chosen, throughput=throughput, device=hardware.kind, batch_size=batch_size
    )
    note = f"images/s: batches of {batch_size} in evaluation on {hardware.name}, {hardware.threads} threads"
    _show(models_table(costs), note if throughput else "", out)


@app.command("layers")
def layers(
    channels: Annotated[int, typer.Option(min=8, help="Channels of the maps.")] = 64,
    size: Annotated[int, typer.Option(min=1, help="Side of the maps.")] = 28,
    batch_size: Annotated[int, typer.Option(min=1, help="Maps in a batch.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes, of which the median counts.")] = 5,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Also write the table to this Markdown file.")] = None,
) -> None:
    """Time each layer, forward and backward, against a plain loop that computes the same."""
    from sase_gan.hardware import choose_hardware
    from sase_gan.recognition.bench import bench_layers, layers_table

    hardware = choose_hardware(device, "32-true", threads)
    costs = bench_layers(channels=channels, size=size, batch_size=batch_size, device=hardware.kind, repeats=repeats)
    note = f"forward and backward, median of {repeats}, on {hardware.name}, {hardware.threads} threads"
    _show(layers_table(costs), f"{note}; ratio: how many times faster than the loop", out)


def _show(table: str, note: str, out: Path | None) -> None:
    from sase_gan.files import write_atomically

    text = "\n\n".join(filter(None, (table, note)))
    typer.echo(text)
    if out is not None:
        with write_atomically(out) as path:
            path.write_text(text + "\n")


def _in_own_process(name: str, changes: dict[str, Any], hardware: Any, steps: int, plain: bool) -> Any:
    """Peak memory is a property of a process, so each measurement has its own."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, name, changes, hardware, steps, plain).result()


def _measure(name: str, changes: dict[str, Any], hardware: Any, steps: int, plain: bool) -> Any:
    from sase_gan.bench import measure_training
    from sase_gan.config import build, load_preset, merge, without_none
    from sase_gan.hardware import choose_hardware
    from sase_gan.training.low_shot_config import LowShotConfig

    config = build(LowShotConfig, merge(load_preset(name, task="low_shot"), without_none(changes)))
    hardware = choose_hardware(hardware.kind, hardware.precision, hardware.threads)
    untrained = config.loss.reconstruction.startswith("lpips")
    return measure_training(config, hardware, steps=steps, plain=plain, untrained_perceptual=untrained)
