"""`sase-gan export onnx | pt2 | web`: a model for other programs, and a page that draws in the browser."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sase_gan.commands.options import SizeOption

app = typer.Typer(no_args_is_help=True, help="Write a model for other programs, or a page that draws in the browser.")

ModelArgument = Annotated[
    str, typer.Argument(help="Snapshot folder, run folder (its chosen snapshot), or OWNER/NAME on the hub.")
]
HalfOption = Annotated[
    bool, typer.Option("--half", help="Weights in 16 bit, half the size; files compute in 32 bit all the same.")
]
NoiseOption = Annotated[
    str, typer.Option(help="Of a generator: inputs, one for each noise map; fixed, the maps of seed 0 within; off.")
]
MixingOption = Annotated[
    bool, typer.Option("--mixing", help="Of a generator: two more inputs give pictures the appearance of others.")
]
UnfinishedOption = Annotated[
    bool, typer.Option("--unfinished", help="Of a model whose pictures are finished with patches: without them.")
]
PartOption = Annotated[str, typer.Option(help="Of a classifier or detector: whole or backbone.")]


def _file_command(kind: str, words: str) -> None:
    """Add the command that writes a model as a file of this kind."""

    def write(
        source: ModelArgument,
        out: Annotated[Path | None, typer.Option(help=f"The file. [default: exports/NAME.{kind}]")] = None,
        half: HalfOption = False,
        noise: NoiseOption = "inputs",
        mixing: MixingOption = False,
        size: SizeOption = None,
        unfinished: UnfinishedOption = False,
        part: PartOption = "whole",
    ) -> None:
        from sase_gan.api.export import export
        from sase_gan.commands.options import parse_size, samples_folder
        from sase_gan.errors import UsageError

        for name, value, allowed in (
            ("noise", noise, ("inputs", "fixed", "off")),
            ("part", part, ("whole", "backbone")),
        ):
            if value not in allowed:
                raise UsageError(f"{name} is {value!r}; it must be {', '.join(allowed[:-1])} or {allowed[-1]}")
        path = out or Path(f"{samples_folder(source, 'exports')}.{kind}")
        if path.suffix.lower() != f".{kind}":
            raise UsageError(f"the file is to be {path}; its name must end in .{kind}")
        options: dict[str, Any] = {"half": half, "noise": noise, "mixing": mixing, "part": part}
        options |= {"size": parse_size(size), "unfinished": unfinished}
        typer.echo(export(source, path, **options).in_words())

    app.command(kind, help=words)(write)


_file_command(
    "onnx", "Write ONNX with a free batch, and check it with ONNX Runtime against the model, in batches of 1, 2 and 5."
)
_file_command("pt2", "Write a program of torch.export with a free batch, read it back, and check it against the model.")


@app.command()
def web(
    source: ModelArgument,
    out: Annotated[Path, typer.Option(help="The folder; a page that was there is replaced.")],
    full: Annotated[bool, typer.Option("--full", help="Weights in 32 bit: twice the size.")] = False,
    unfinished: UnfinishedOption = False,
    runtime: Annotated[
        Path | None, typer.Option(help="The npm package onnxruntime-web, packed or not, where npm cannot fetch it.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Show the page on this computer, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For --serve; 0: any that is free.")] = 8000,
) -> None:
    """Write a page that draws in the browser: one folder for any web host, with nothing to run on the server."""
    from sase_gan.api.export import export_page
    from sase_gan.exporting.web import LARGEST_MODEL, serve_page

    done = export_page(source, out, half=not full, unfinished=unfinished, runtime=runtime)
    typer.echo(done.in_words())
    if (size := done.path.stat().st_size) > LARGEST_MODEL:
        typer.echo(f"the model has {size / 1e6:.0f} MB, for which visitors wait; narrower networks have less")
    if not serve:
        typer.echo(f"put {out} on any web host, or look at it with: python -m http.server --directory {out}")
        return
    serve_page(out, port, lambda address: typer.echo(f"{address} (Ctrl-C ends it)"))
