"""`nucseg models`: the models that a name finds."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from nucseg.core.errors import ModelError
from nucseg.core.words import counted

if TYPE_CHECKING:
    from nucseg.models.facts import ModelFacts

DEFAULT = "stardist"
"""The model that `nucseg predict` uses unless another is named."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the folders.")
def models(as_json: bool) -> None:
    """List the models by name, with kind, version, date, training data and scores on their validation images.

    Scores of models that were validated on different images cannot be compared.
    """
    from nucseg.models.facts import all_models

    found = all_models()
    if as_json:
        listed = {name: _plain(facts) | {"default": name == DEFAULT} for name, facts in found.items()}
        click.echo(json.dumps(listed, indent=2, default=str))
        return
    rows = [("name", "kind", "version", "date", "trained on", "validation scores")]
    for name, facts in found.items():
        shown = f"{name} (default)" if name == DEFAULT else name
        if isinstance(facts, ModelError):
            rows.append((shown, "", "", "", "", f"cannot be used: {facts}"))
            continue
        data = ", ".join(f"{counted(count, 'image')} of {dataset}" for dataset, count in facts.data.items())
        scores = ", ".join(f"{metric} {score:.3f}" for metric, score in facts.scores.items())
        rows.append((shown, facts.kind, facts.version, facts.created or "", data or "not recorded", scores))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(facts: "ModelFacts | ModelError") -> dict[str, Any]:
    return {"error": str(facts)} if isinstance(facts, ModelError) else asdict(facts)
