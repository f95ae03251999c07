"""What pydantic finds wrong with a value, in plain words."""

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "missing": "is needed",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "string_type": "must be text",
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
    """Return what is allowed instead of a wrong value.

    Args:
        problem: One of `ValidationError.errors()`.
    """
    if problem["type"] == "union_tag_invalid":
        return f"its {problem['ctx']['discriminator']} must be one of {problem['ctx']['expected_tags']}"
    message: str = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return _WORDS.get(problem["type"], message)
