"""`sase-gan train`: a folder of pictures, or one picture, in; a generator with its samples and figures out."""

from pathlib import Path
from typing import Annotated, Any

import typer

Progress = Any


def train(
    path: Annotated[
        Path | None, typer.Argument(help="Folder or zip of pictures, or one picture.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME-001.", show_default=False)] = None,
    preset: Annotated[str | None, typer.Option(help="Preset; default chosen from pictures and hardware.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file over the preset.")] = None,
    image_size: Annotated[int | None, typer.Option(help="32, 64, 128, 256, 512 or 1024 px.")] = None,
    max_size: Annotated[int | None, typer.Option(help="Longer side in px, for one picture.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Train for so many thousand images.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes; one picture: fit into them.")
    ] = None,
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
    """Train a generator on a folder of pictures, or on one picture."""
    from sase_gan.errors import UsageError

    _check_places(path, resume)  # before the imports that take seconds
    from sase_gan.hardware import choose_hardware

    hardware = choose_hardware(device, precision, threads)
    flags = {
        "image_size": image_size,
        "pyramid": {"max_size": max_size},
        "seed": seed,
        "data": {"fit": fit, "holdout": holdout},
        "optimiser": {"batch_size": batch_size},
        "schedule": {"total_images": None if kimg is None else round(kimg * 1000)},
    }
    options = {"minutes": minutes, "devices": devices, "weights_dir": weights_dir, "logger": logger, "figures": figures}
    if resume is not None:
        given = {"PATH": path, "--out": out, "--preset": preset, "--config": config, "--set": settings} | {
            "--image-size": image_size,
            "--max-size": max_size,
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
        raise UsageError("no pictures were given; name a folder, a zip or one picture: sase-gan train PATH")
    if is_one_picture(path):
        _start_picture(path, out, preset, config, flags, settings or [], hardware, options, dry_run)
        return
    _start(path, out, preset, config, flags, settings or [], hardware, options, dry_run)


def _check_places(path: Path | None, resume: Path | None) -> None:
    """Refuse a path or a run that is not there."""
    from sase_gan.files import check_pictures_exist
    from sase_gan.runs.folder import open_run

    if resume is not None:
        open_run(resume)
    if path is not None:
        check_pictures_exist(path.expanduser())


def is_one_picture(path: Path) -> bool:
    """Whether a path is trained on as one picture: a file that is no zip, or a folder or zip with one picture."""
    import zipfile

    if path.is_file() and not zipfile.is_zipfile(path):
        return True
    if not path.exists():
        return False
    from sase_gan.datasets.images import open_images

    return len(open_images(path)) == 1


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
    from sase_gan.runs.folder import RunFolder, next_free
    from sase_gan.runs.presets import FEWEST_IMAGES, choose_preset

    source = open_images(path)
    if len(source) < FEWEST_IMAGES:
        raise DataError(f"{path} holds {len(source)} pictures; at least {FEWEST_IMAGES} are required to train on a set")
    _refuse(flags["pyramid"]["max_size"], "--max-size", "one picture", "--image-size sets the side of a set's pictures")
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
    # Lightning takes seconds to import: only now, when nothing is left that the user may have mistyped.
    from sase_gan.runs.run import is_first_process, start_run

    run = RunFolder(out or next_free(Path("runs"), path.stem))
    if is_first_process():
        typer.echo(f"{len(images)} pictures at {resolved.image_size} px on {hardware.name}; writing to {run.path}")
    result = start_run(resolved, images, run, _run_options(resolved, images, hardware, options))
    _finish(result, run)


def _start_picture(
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
    from sase_gan.datasets.one_shot import fitted, open_picture
    from sase_gan.runs.folder import RunFolder, next_free
    from sase_gan.runs.presets import choose_one_shot_preset
    from sase_gan.runs.run import is_first_process, start_run
    from sase_gan.training.one_shot_config import sized_for

    for value, name, instead in (
        (flags["image_size"], "--image-size", "--max-size sets the longer side"),
        (flags["data"]["fit"], "--fit", "one picture keeps its proportions"),
        (flags["data"]["holdout"], "--holdout", "one picture cannot be divided"),
        (flags["optimiser"]["batch_size"], "--batch-size", "every iteration shows the picture"),
        (flags["schedule"]["total_images"], "--kimg", "--minutes or --set schedule.iterations=N sets the length"),
        (options["devices"] if options["devices"] != 1 else None, "--devices", "one picture is trained on one device"),
    ):
        _refuse(value, name, "a set of pictures", instead)
    picture = open_picture(path)
    if preset is None:
        preset, reason = choose_one_shot_preset(gpu=hardware.kind != "cpu")
        typer.echo(f"preset {preset}: {reason}")
    wanted = {"seed": flags["seed"], "pyramid": flags["pyramid"]}
    height, width = picture.images.shape[2:]
    resolved = sized_for(_resolve(preset, config_file, wanted, settings, path, task="one_shot"), (height, width))
    resolved = _tell_picture_cost(resolved, (height, width), hardware, options["minutes"])
    if dry_run:
        from sase_gan.config import to_yaml

        typer.echo(to_yaml(resolved))
        typer.echo("dry run: nothing was written")
        return
    images = fitted(picture, resolved.generator.sizes[-1])
    run = RunFolder(out or next_free(Path("runs"), path.stem))
    if is_first_process():
        typer.echo(f"writing to {run.path}; look into its grids/ while it trains")
    _finish(start_run(resolved, images, run, _run_options(resolved, images, hardware, options)), run)


def _tell_picture_cost(resolved: Any, picture: tuple[int, int], hardware: Any, minutes: float | None) -> Any:
    """Say sizes, time and memory before anything is written; the configuration with iterations that fit `minutes`."""
    from sase_gan.runs.cost import measure_picture_training
    from sase_gan.runs.display import readable_seconds

    height, width = resolved.generator.sizes[-1]
    typer.echo(f"picture  {picture[1]}x{picture[0]} px, trained at {width}x{height} px")
    if (height, width) != picture:
        more = max(picture) / max(height, width)
        typer.echo(
            f"         smaller than the picture: --max-size up to {max(picture)} keeps more detail, at up to "
            f"{more**2:.1f} times the time and memory of the finest stage"
        )
    typer.echo("stages   " + ", ".join(f"{w}x{h}" for h, w in resolved.generator.sizes))
    cost = measure_picture_training(resolved, hardware)
    if minutes is not None:
        schedule = resolved.schedule
        fitting = max(1, int(schedule.iterations * 60 * minutes / cost.seconds))
        resolved = resolved.model_copy(update={"schedule": schedule.model_copy(update={"iterations": fitting})})
    seconds = sum(resolved.iterations(s) * each for s, each in enumerate(cost.seconds_per_iteration))
    timed = (
        "" if cost.timed_stages == resolved.num_stages else f"; {cost.timed_stages} stages timed, finer ones foretold"
    )
    typer.echo(
        f"time     about {readable_seconds(seconds)} for {resolved.total_images:,} iterations on {hardware.name}, "
        f"{hardware.threads} threads{timed}"
    )
    typer.echo(f"memory   about {cost.peak_memory_mb:,.0f} MB")
    free = _free_memory_mb(hardware)
    if free is not None and cost.peak_memory_mb > free:
        typer.echo(f"         more than the {free:,.0f} MB that are free: a smaller --max-size needs less", err=True)
    return resolved


def _free_memory_mb(hardware: Any) -> float | None:
    """Of the device; None where it cannot be told."""
    import os

    if hardware.kind == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] / 2**20
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (ValueError, OSError):
        return None


def _refuse(value: Any, name: str, belongs_to: str, instead: str) -> None:
    from sase_gan.errors import UsageError

    if value is not None:
        raise UsageError(f"{name} is {value}, which is for {belongs_to}; leave it out: {instead}")


def _resume(folder: Path, kimg: float | None, hardware: Any, options: dict[str, Any], dry_run: bool) -> None:
    from sase_gan.config import build, load_yaml, merge
    from sase_gan.runs.folder import open_run
    from sase_gan.runs.run import resume_run
    from sase_gan.training.configs import CONFIGS
    from sase_gan.training.one_shot_config import OneShotConfig

    run = open_run(folder)
    values = load_yaml(run.config)
    kind = CONFIGS[values.get("task", "low_shot")]
    if kind is OneShotConfig:
        _refuse(kimg, "--kimg", "a set of pictures", "a run on one picture goes on to its last stage")
    more = {} if kimg is None else {"schedule": {"total_images": round(kimg * 1000)}}
    resolved: Any = build(kind, merge(values, more))
    images = _load(resolved)
    if dry_run and not isinstance(resolved, OneShotConfig):
        _dry_run(resolved, len(images), hardware, options)
        return
    if dry_run:
        _tell_picture_cost(resolved, resolved.generator.sizes[-1], hardware, None)
        return
    typer.echo(f"going on with {run.path}")
    result = resume_run(resolved, images, run, _run_options(resolved, images, hardware, options))
    _finish(result, run)


def _smallest_side(source: Any) -> int:
    """Of the first pictures, enough to choose an image size without decoding a whole set twice."""
    return min(min(source.read(i).shape[1:]) for i in range(min(len(source), 16)))


def _resolve(
    preset: str,
    config_file: Path | None,
    flags: dict[str, Any],
    settings: list[str],
    path: Path,
    *,
    task: str = "low_shot",
) -> Any:
    from sase_gan.config import merge, resolve
    from sase_gan.training.configs import CONFIGS

    return resolve(
        CONFIGS[task],
        preset=preset,
        file=config_file,
        flags=merge(flags, {"data": {"path": str(path.resolve())}}),
        settings=settings,
        task=task,
    )


def _load(resolved: Any) -> Any:
    """The prepared training pictures, without those that the configuration holds out."""
    from sase_gan.datasets.images import load_image_set
    from sase_gan.datasets.one_shot import fitted, open_picture
    from sase_gan.datasets.prepare import split_holdout
    from sase_gan.training.one_shot_config import OneShotConfig

    if isinstance(resolved, OneShotConfig):
        return fitted(open_picture(str(resolved.data.path)), resolved.generator.sizes[-1])
    images = load_image_set(Path(resolved.data.path), image_size=resolved.image_size, fit=resolved.data.fit)
    if resolved.data.holdout == 0:
        return images
    training, _ = split_holdout(images, resolved.data.holdout, resolved.seed)
    return training


def _run_options(resolved: Any, images: Any, hardware: Any, options: dict[str, Any]) -> Any:
    from sase_gan.runs.run import RunOptions

    one_picture = resolved.task == "one_shot"
    return RunOptions(
        hardware,
        # One picture's schedule was fitted into the minutes: cut short, it would lack its finest stages.
        minutes=None if one_picture else options["minutes"],
        devices=options["devices"],
        measure=_measure(resolved, images, hardware) if options["figures"] else None,
        weights_dir=None if options["weights_dir"] is None else str(options["weights_dir"]),
        loggers=_loggers(options["logger"]),
    )


def _measure(resolved: Any, images: Any, hardware: Any) -> Any:
    """The figures of a snapshot, or None if none are wanted."""
    from sase_gan.metrics.quick import prepare_measure, prepare_single_measure

    if resolved.schedule.evaluation_count == 0:
        return None
    data = {"name": Path(resolved.data.path).name, "licence": resolved.data.licence}
    if resolved.task == "one_shot":
        return prepare_single_measure(images.images[0], device=hardware.device, data=data)
    return prepare_measure(
        images.images,
        device=hardware.device,
        extractor_used_in_training=resolved.loss.reconstruction == "efflite0",
        data={**data, "mirror": resolved.data.mirror},
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
    from sase_gan.config import to_yaml
    from sase_gan.runs.cost import measure_training
    from sase_gan.runs.display import readable_seconds

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
    from sase_gan.runs.display import readable_seconds
    from sase_gan.runs.run import is_first_process

    if not is_first_process():
        return
    share = result.measuring_seconds / max(result.seconds, 1e-9)
    typer.echo(
        f"{result.images_seen:,} images seen in {readable_seconds(result.seconds)}, {share:.0%} of it for figures; "
        f"the run is in {run.path}"
    )
    if result.interrupted:
        typer.echo(f"interrupted and saved; go on with: sase-gan train --resume {run.path}")
        raise typer.Exit(130)
    typer.echo(f"the chosen snapshot is {run.chosen_snapshot()}")
