"""Write configuration.md: every parameter with its meaning, what is allowed and what the configurations set it to.

    python docs/describe_parameters.py

All of it comes from the typed models that check the parameters (`nucseg.params`) and from the files in `conf/`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from nucseg.models.mask_rcnn.config import PRESETS
from nucseg.models.registry import MODELS
from nucseg.params import Parameters

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/configuration.md"
HEAD = """# Configuration

<!-- Made by docs/describe_parameters.py from the typed models: change those, and run it again. -->

Parameters lie in `conf/base/parameters/`. `--env cpu` and `--env demo` add what differs in `conf/cpu` and `conf/demo`;
your own values in `conf/local` (which stays out of git) override these, and the demo takes none of them. `--params
key=value,other=value` is for one run. All are checked before the first node runs: a message names the file, the key,
the value and what is allowed.

A parameter that no file names has its default; an empty cell, or no column, means that the file does not name it. A
list, such as that of the augmentations, replaces the whole list of another file, and cannot be given by `--params`:

```yaml
data_augmentations:
  transforms:
    - {name: affine, p: 0.9, scale: [0.5, 2.0]}
    - {name: flip, p: 0.5}
```
"""

Schema = dict[str, Any]


def describe() -> str:
    """Give the page."""
    schema = Parameters.model_json_schema()
    models: Schema = schema["$defs"]
    given = {name: _files(ROOT / "conf" / name) for name in ("base", "cpu", "demo")}
    lines = [HEAD]
    for section, reference in schema["properties"].items():
        lines += [
            f"## `{section}`",
            "",
            f"In `{'model_config' if section in MODELS else section}.yml`.",
            "",
            *_table(section, reference, models, given),
        ]
        for title, name in _choices(reference, models):
            lines += [f"### {title}", "", models[name].get("description", "").split("\n")[0], ""]
            values = {each["name"]: each for each in given["base"][section]["transforms"]}.get(title.strip("`"), {})
            table = _table("", {"$ref": f"#/$defs/{name}"}, models, {"base": values})
            lines += table if len(table) > 3 else []  # heading, rule and the empty line
    return "\n".join(lines).rstrip() + "\n"


def _files(folder: Path) -> dict[str, Any]:
    merged = OmegaConf.merge(*(OmegaConf.load(path) for path in sorted(folder.glob("parameters/*.yml"))))
    found = OmegaConf.to_container(merged, resolve=False)
    return found if isinstance(found, dict) else {}


def _table(prefix: str, reference: Schema, models: Schema, given: dict[str, dict[str, Any]]) -> list[str]:
    fields = list(_fields(prefix, reference, models))
    given = {name: values for name, values in given.items() if any(_value(_at(values, key)) for key, _ in fields)}
    lines = ["| parameter | meaning | allowed | default |" + "".join(f" {name} |" for name in given)]
    lines.append("|---" * (4 + len(given)) + "|")
    for key, field in fields:
        if "const" in field:  # the name by which a transform is chosen, its heading
            continue
        missing = "of the preset" if key.removeprefix("mask_rcnn.architecture.") in PRESETS["small"] else "needed"
        cells = [f"`{key}`", field.get("description", ""), _allowed(field), _value(field.get("default", missing))]
        cells += [_value(_at(values, key)) for values in given.values()]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return [*lines, ""]


def _fields(prefix: str, reference: Schema, models: Schema) -> Iterator[tuple[str, Schema]]:
    """Walk through the models within models down to the single values."""
    inner = next((part["$ref"] for part in [reference, *reference.get("anyOf", [])] if "$ref" in part), None)
    if inner is None:
        yield prefix, reference
        return
    for name, field in models[inner.rsplit("/", 1)[1]]["properties"].items():
        yield from _fields(f"{prefix}.{name}".lstrip("."), field, models)


def _choices(reference: Schema, models: Schema) -> list[tuple[str, str]]:
    """List the named transforms that a list of this section may hold."""
    found = {}
    for _, field in _fields("", reference, models):
        found |= field.get("items", {}).get("discriminator", {}).get("mapping", {})
    return [(f"`{name}`", target.rsplit("/", 1)[1]) for name, target in found.items()]


def _allowed(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(filter(None, map(_allowed, field["anyOf"])))
    if "enum" in field or "const" in field:
        return ", ".join(map(_value, field.get("enum", [field.get("const")])))
    if "items" in field or "prefixItems" in field:
        inner = field.get("items") or field["prefixItems"][0]
        return "the transforms below" if "oneOf" in inner else f"list of: {_allowed(inner)}" if inner else "list"
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true, false", "null": "null"}
    limits = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
        "multipleOf": "multiple of",
    }
    bounds = [f"{sign} {field[name]:g}" for name, sign in limits.items() if name in field]
    return ", ".join([words.get(field.get("type", ""), field.get("type", "")), *bounds])


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return ""
        values = values[part]
    return values


def _value(value: Any) -> str:
    if value in ("", "needed", "of the preset"):
        return value
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ", ".join(f"`{each['name']}`" for each in value)
    return f"`{json.dumps(value, ensure_ascii=False)}`" if not isinstance(value, str) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(describe(), "utf-8")
