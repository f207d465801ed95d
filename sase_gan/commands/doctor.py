"""`sase-gan doctor`: what is installed, what the machine has, which weights are there."""

import typer


def doctor() -> None:
    """Print versions, device and weights: the first thing to send with a question."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from sase_gan import __version__
    from sase_gan.config import list_presets, preset_folder
    from sase_gan.features import weights
    from sase_gan.features.known_weights import KNOWN
    from sase_gan.hardware import choose_hardware

    typer.echo(f"sase_gan          {__version__}")
    typer.echo(f"python            {platform.python_version()} on {platform.platform()}")
    for name in ("torch", "torchvision", "lightning", "torch-fidelity", "lpips", "timm", "gradio"):
        try:
            typer.echo(f"{name:<17} {version(name)}")
        except PackageNotFoundError:
            typer.echo(f"{name:<17} missing; run: pip install {name}")
    hardware = choose_hardware()
    threads = "1 thread" if hardware.threads == 1 else f"{hardware.threads} threads"
    typer.echo(f"device            {hardware.name} ({hardware.kind}, {hardware.precision}, {threads})")
    if hardware.kind == "cuda":
        free, total = torch.cuda.mem_get_info()
        typer.echo(f"GPU memory        {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    typer.echo(f"presets           {len(list_presets())} in {preset_folder()}")
    for name, record in KNOWN.items():
        state = weights.state(name)
        optional = f" (optional, for {record.needed_for})" if state == "missing" else ""
        typer.echo(f"weights           {name}: {state}{optional}")
