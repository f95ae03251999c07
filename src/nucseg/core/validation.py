"""Pydantic's validation errors in plain words."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nucseg.core.errors import ConfigError

Checked = TypeVar("Checked", bound=BaseModel)

_WORDS = {
    "missing": "is required",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "string_type": "must be text",
    "path_type": "must be a path",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "extra_forbidden": "there is no such parameter",
}


def plain_words(problem: Mapping[str, Any]) -> str:
    """Describe what is allowed instead of a wrong value.

    Args:
        problem: One of `ValidationError.errors()`.
    """
    if problem["type"] == "union_tag_invalid":
        return f"its {problem['ctx']['discriminator']} must be one of {problem['ctx']['expected_tags']}"
    if problem["type"] == "too_short":
        return f"must have at least {problem['ctx']['min_length']} values"
    message: str = problem["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "must be").replace("String should", "must")
    return _WORDS.get(problem["type"], message)


def checked(kind: type[Checked], values: Mapping[str, Any]) -> Checked:
    """Create a pydantic model of values that a caller gave.

    Raises:
        ConfigError: One line for each wrong value, with its name and what is allowed.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        allowed: dict[str, list[str]] = {}
        inputs: dict[str, Any] = {}
        for problem in error.errors():  # one for each kind that the value may be of
            name = str(problem["loc"][0])
            allowed.setdefault(name, []).append(plain_words(problem))
            inputs[name] = values.get(name, problem["input"])  # a default does not fit to other values
        lines = [
            f"{name}: {inputs[name]!r} is not allowed; it {' or '.join(words)}." for name, words in allowed.items()
        ]
        raise ConfigError("\n".join(lines)) from None
