"""Write api.md: the functions and classes that programs may use, from their signatures and docstrings.

    python docs/describe_api.py

The sources are read, not imported.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/api.md"
HEAD = """# Python

<!-- Written by docs/describe_api.py from the signatures and docstrings: change those, and run it again. -->

Examples are on the page [Predict images](predict.md#from-python). What stands here is what a program may rely on, with
types for type checkers and editors; everything else in the package may change with any version.
"""


def describe() -> str:
    """Return the page."""
    predict = _definition("__init__.py", "predict")
    measure = _definition("__init__.py", "measure")
    write = _definition("__init__.py", "write")
    instances = _definition("core/types.py", "Instances")
    errors = ast.parse((ROOT / "src/nucseg/core/errors.py").read_text()).body
    lines = [HEAD, *_function("nucseg.predict", predict), *_function("nucseg.measure", measure)]
    lines += [*_function("nucseg.write", write), *_class("nucseg.Instances", instances)]
    lines += ["## Errors", "", "All in `nucseg.core.errors`; the message is one line.", ""]
    lines += ["| error | when |", "|---|---|"]
    lines += [f"| `{node.name}` | {_summary(node)} |" for node in errors if isinstance(node, ast.ClassDef)]
    return "\n".join(lines) + "\n"


def _definition(file: str, name: str) -> ast.AST:
    module = ast.parse((ROOT / "src/nucseg" / file).read_text())
    return next(node for node in module.body if getattr(node, "name", None) == name)


def _function(title: str, node: ast.AST) -> list[str]:
    assert isinstance(node, ast.FunctionDef)
    arguments = [*node.args.args, *node.args.kwonlyargs]
    defaults = [*[None] * (len(node.args.args) - len(node.args.defaults)), *node.args.defaults, *node.args.kw_defaults]
    meaning = _section(node, "Args")
    lines = [f"## `{title}`", "", _summary(node), "", "| argument | type | default | meaning |", "|---|---|---|---|"]
    for argument, default in zip(arguments, defaults, strict=True):
        cells = [
            f"`{argument.arg}`",
            f"`{_type(argument.annotation)}`",
            f"`{ast.unparse(default)}`" if default else "",
            meaning[argument.arg],
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", f"Returns `{_type(node.returns)}`: {_section(node, 'Returns')['']}", ""]
    raised = _section(node, "Raises")
    return [*lines, "| raises | when |", "|---|---|", *(f"| `{name}` | {when} |" for name, when in raised.items()), ""]


def _class(title: str, node: ast.AST) -> list[str]:
    assert isinstance(node, ast.ClassDef)
    lines = [f"## `{title}`", "", _summary(node), "", "| attribute or method | type | meaning |", "|---|---|---|"]
    attributes = _section(node, "Attributes")
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            kind = _type(each.annotation).replace("|", "\\|")
            lines.append(f"| `{each.target.id}` | `{kind}` | {attributes[each.target.id]} |")
        elif isinstance(each, ast.FunctionDef) and each.name == "__len__":
            lines.append("| `len(...)` | `int` | How many nuclei there are. |")
        elif isinstance(each, ast.FunctionDef):
            kinds = {ast.unparse(decorator) for decorator in each.decorator_list}
            inner = ", ".join(f"{part.arg}: {_type(part.annotation)}" for part in each.args.args[1:])
            name = each.name if "property" in kinds else f"{each.name}({inner})"
            lines.append(f"| `{name}` | `{_type(each.returns)}` | {_summary(each)} |")
    return [*lines, ""]


def _type(annotation: ast.expr | None) -> str:
    """Return an annotation as it is written; those in quotes without them."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation) if annotation else ""


def _docstring(node: ast.AST) -> str:
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    return ast.get_docstring(node) or ""


def _summary(node: ast.AST) -> str:
    return _docstring(node).split("\n\n")[0].replace("\n", " ")


def _section(node: ast.AST, title: str) -> dict[str, str]:
    """Read a section of a Google-style docstring: texts by name, or the whole text by the empty name."""
    found = re.search(rf"^{title}:\n((?:    .*\n?|\n)+)", _docstring(node), re.MULTILINE)
    texts: dict[str, str] = {}
    name = ""
    for line in found[1].splitlines() if found else []:
        start = re.match(r"    (\w+): (.*)", line) if title != "Returns" else None
        if start:
            name = start[1]
        texts[name] = f"{texts.get(name, '')} {start[2] if start else line.strip()}".strip()
    return {name: text for name, text in texts.items() if text}


if __name__ == "__main__":
    PAGE.write_text(describe(), "utf-8")
