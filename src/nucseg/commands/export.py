"""`nucseg export`: a model as a file of other programs."""

from pathlib import Path

import click

from nucseg.commands.options import OutputPath


@click.command()
@click.argument("model")
@click.option("--to", required=True, help="Format: onnx, savedmodel, stardist or bioimageio.")
@click.option("--out", type=OutputPath(path_type=Path), help="Path to write.  [default: MODEL-FORMAT]")
@click.option("--author", "authors", multiple=True, help="Name of an author; may be given several times.")
@click.option("--license", "licence", default="", help="Licence, as SPDX writes it, such as CC-BY-4.0.")
@click.option("--side", type=int, help="Side of the images of an exported Mask R-CNN in pixels.  [default: 512]")
def export(model: str, to: str, out: Path | None, authors: tuple[str, ...], licence: str, side: int | None) -> None:
    """Write a model for other programs.

    MODEL is the name of a model, or its folder. onnx and savedmodel are the network, beside a README that says how
    images are prepared and results decoded; stardist is a folder for the stardist package; bioimageio is a package
    (zip) for bioimage.io, which needs --author and --license.

    What was written is run and compared with the model; it is kept only if both agree.
    """
    from nucseg.sharing.export import export_model
    from nucseg.sharing.readme import Publication

    click.echo(f"Written: {export_model(model, to, out, Publication(authors, licence), side)}")
