"""`sase-gan train`: a folder of pictures in, a generator with its samples and figures out."""

from pathlib import Path
from typing import Annotated, Any

import typer

Progress = Any


def train(
    path: Annotated[Path | None, typer.Argument(help="Folder or zip of pictures.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME-001.", show_default=False)] = None,
    preset: Annotated[str | None, typer.Option(help="Preset; default chosen from pictures and hardware.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file over the preset.")] = None,
    image_size: Annotated[int | None, typer.Option(help="32, 64, 128, 256, 512 or 1024 px.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Train for so many thousand images.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step on each device.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    fit: Annotated[str | None, typer.Option(help="crop (centre square) or pad; never a stretch.")] = None,
    holdout: Annotated[float | None, typer.Option(help="Share of pictures kept out of training, 0 to 0.5.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting, for example loss.r1=0.1; repeatable.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="How many GPUs.")] = 1,
    precision: Annotated[str | None, typer.Option(help="32-true or bf16-mixed; default by device.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    weights_dir: Annotated[Path | None, typer.Option(help="Where pretrained weights lie.")] = None,
    logger: Annotated[str | None, typer.Option(help="Besides metrics.csv: tensorboard or wandb.")] = None,
    figures: Annotated[bool, typer.Option(help="Measure quality and copying at snapshots.")] = True,
    dry_run: Annotated[bool, typer.Option(help="Print settings, parameters, time and memory; write nothing.")] = False,
) -> None:
    """Train a generator on a folder of pictures."""
    from sase_gan.errors import UsageError
    from sase_gan.hardware import choose_hardware

    hardware = choose_hardware(device, precision, threads)
    flags = {
        "image_size": image_size,
        "seed": seed,
        "data": {"fit": fit, "holdout": holdout},
        "optimiser": {"batch_size": batch_size},
        "schedule": {"total_images": None if kimg is None else round(kimg * 1000)},
    }
    options = {"minutes": minutes, "devices": devices, "weights_dir": weights_dir, "logger": logger, "figures": figures}
    if resume is not None:
        given = {"PATH": path, "--out": out, "--preset": preset, "--config": config, "--set": settings} | {
            "--image-size": image_size,
            "--seed": seed,
            "--fit": fit,
            "--holdout": holdout,
            "--batch-size": batch_size,
        }
        if wrong := [name for name, value in given.items() if value]:
            raise UsageError(
                f"{', '.join(wrong)} cannot be changed on --resume, which goes on with {resume} as it began; "
                "only --kimg, --minutes and the hardware may be given"
            )
        _resume(resume, kimg, hardware, options, dry_run)
        return
    if path is None:
        raise UsageError("no pictures were given; name a folder or a zip: sase-gan train PATH")
    _start(path, out, preset, config, flags, settings or [], hardware, options, dry_run)


def _start(
    path: Path,
    out: Path | None,
    preset: str | None,
    config_file: Path | None,
    flags: dict[str, Any],
    settings: list[str],
    hardware: Any,
    options: dict[str, Any],
    dry_run: bool,
) -> None:
    from sase_gan.datasets.images import open_images
    from sase_gan.errors import DataError
    from sase_gan.presets import FEWEST_IMAGES, choose_preset
    from sase_gan.run_folder import RunFolder, next_free
    from sase_gan.runs import is_first_process, start_run

    source = open_images(path)
    if len(source) < FEWEST_IMAGES:
        raise DataError(f"{path} holds {len(source)} pictures; at least {FEWEST_IMAGES} are required to train on a set")
    if preset is None:
        choice = choose_preset(
            len(source), _smallest_side(source), gpu=hardware.kind != "cpu", image_size=flags["image_size"]
        )
        preset = choice.preset
        flags = {**flags, "image_size": choice.image_size}
        typer.echo(f"preset {preset}: {choice.reason}")
    resolved = _resolve(preset, config_file, flags, settings, path)
    if dry_run:
        _dry_run(resolved, len(source), hardware, options)
        return
    images = _load(resolved)
    run = RunFolder(out or next_free(Path("runs"), path.stem))
    if is_first_process():
        typer.echo(f"{len(images)} pictures at {resolved.image_size} px on {hardware.name}; writing to {run.path}")
    result = start_run(resolved, images, run, _run_options(resolved, images, hardware, options))
    _finish(result, run)


def _resume(folder: Path, kimg: float | None, hardware: Any, options: dict[str, Any], dry_run: bool) -> None:
    from sase_gan.config import build, load_yaml, merge
    from sase_gan.run_folder import open_run
    from sase_gan.runs import resume_run
    from sase_gan.training.low_shot_config import LowShotConfig

    run = open_run(folder)
    more = {} if kimg is None else {"schedule": {"total_images": round(kimg * 1000)}}
    resolved = build(LowShotConfig, merge(load_yaml(run.config), more))
    images = _load(resolved)
    if dry_run:
        _dry_run(resolved, len(images), hardware, options)
        return
    typer.echo(f"going on with {run.path}")
    result = resume_run(resolved, images, run, _run_options(resolved, images, hardware, options))
    _finish(result, run)


def _smallest_side(source: Any) -> int:
    """Of the first pictures, enough to choose an image size without decoding a whole set twice."""
    return min(min(source.read(i).shape[1:]) for i in range(min(len(source), 16)))


def _resolve(preset: str, config_file: Path | None, flags: dict[str, Any], settings: list[str], path: Path) -> Any:
    from sase_gan.config import build, load_preset, load_yaml, merge, parse_assignments, without_none
    from sase_gan.training.low_shot_config import LowShotConfig

    return build(
        LowShotConfig,
        merge(
            load_preset(preset, task="low_shot"),
            load_yaml(config_file) if config_file is not None else {},
            without_none(flags),
            {"data": {"path": str(path.resolve())}},
            parse_assignments(settings),
        ),
    )


def _load(resolved: Any) -> Any:
    """The prepared training pictures, without those that the configuration holds out."""
    from sase_gan.datasets.images import load_image_set
    from sase_gan.datasets.prepare import split_holdout

    images = load_image_set(Path(resolved.data.path), image_size=resolved.image_size, fit=resolved.data.fit)
    if resolved.data.holdout == 0:
        return images
    training, _ = split_holdout(images, resolved.data.holdout, resolved.seed)
    return training


def _run_options(resolved: Any, images: Any, hardware: Any, options: dict[str, Any]) -> Any:
    from sase_gan.runs import RunOptions

    measure = None
    if options["figures"] and resolved.schedule.evaluation_count > 0:
        from sase_gan.metrics.quick import prepare_measure

        measure = prepare_measure(
            images.images,
            device=hardware.device,
            extractor_used_in_training=resolved.loss.reconstruction == "efflite0",
            data={
                "name": Path(resolved.data.path).name,
                "licence": resolved.data.licence,
                "mirror": resolved.data.mirror,
            },
        )
    return RunOptions(
        hardware,
        minutes=options["minutes"],
        devices=options["devices"],
        measure=measure,
        weights_dir=None if options["weights_dir"] is None else str(options["weights_dir"]),
        loggers=_loggers(options["logger"]),
    )


def _loggers(name: str | None) -> tuple[Any, ...]:
    from sase_gan.errors import UsageError

    if name is None:
        return ()
    if name not in ("tensorboard", "wandb"):
        raise UsageError(f"logger is {name!r}; choose tensorboard or wandb")
    try:
        from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

        return (TensorBoardLogger("runs/tensorboard") if name == "tensorboard" else WandbLogger(project="sase_gan"),)
    except ModuleNotFoundError as error:
        raise UsageError(f"{name} is not installed; run: pip install 'sase_gan[logging]'") from error


def _dry_run(resolved: Any, num_images: int, hardware: Any, options: dict[str, Any]) -> None:
    from sase_gan.bench import measure_training
    from sase_gan.config import to_yaml
    from sase_gan.display import readable_seconds

    typer.echo(to_yaml(resolved))
    typer.echo(f"{num_images} pictures; timing two steps on {hardware.name} ...")
    cost = measure_training(resolved, hardware, steps=2, warm_up=1, weights_dir=options["weights_dir"])
    seconds = resolved.schedule.total_images / cost.images_per_second
    typer.echo(f"generator      {cost.generator_parameters:,} parameters")
    typer.echo(f"discriminator  {cost.discriminator_parameters:,} parameters")
    typer.echo(f"speed          {cost.images_per_second:.1f} images/s ({hardware.precision}, {hardware.name})")
    typer.echo(f"time           about {readable_seconds(seconds)} for {resolved.schedule.total_images:,} images")
    typer.echo(f"memory         {cost.peak_memory_mb:,.0f} MB at most")
    typer.echo("dry run: nothing was written")


def _finish(result: Any, run: Any) -> None:
    from sase_gan.runs import is_first_process

    if not is_first_process():
        return
    typer.echo(f"{result.images_seen:,} images seen; the run is in {run.path}")
    if result.interrupted:
        typer.echo(f"interrupted and saved; go on with: sase-gan train --resume {run.path}")
        raise typer.Exit(130)
    typer.echo(f"the chosen snapshot is {run.chosen_snapshot()}")
