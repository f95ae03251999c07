from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nucseg.core.validation import plain_words


class Example(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = 1
    share: float = 0.5
    yes: bool = True
    name: str = "a"
    short: str = Field("a", max_length=2, pattern="^[a-z]+$")
    one: Literal["a", "b"] = "a"
    file: Path = Path("a")
    several: tuple[str, ...] = ()
    inner: "Example | None" = None


@pytest.mark.parametrize(
    "values, words",
    [
        ({"number": 1.5}, "must be a whole number"),
        ({"number": "many"}, "must be a whole number"),
        ({"share": "half"}, "must be a number"),
        ({"yes": 3}, "must be true or false"),
        ({"name": 3}, "must be text"),
        ({"short": "abc"}, "must have at most 2 characters"),
        ({"short": "B"}, "must match pattern '^[a-z]+$'"),
        ({"one": "c"}, "must be 'a' or 'b'"),
        ({"file": [1]}, "must be a path"),
        ({"several": "a"}, "must be a list"),
        ({"inner": 3}, "must be a mapping of names to values"),
        ({"other": 3}, "there is no such parameter"),
    ],
)
def test_words(values, words):
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(values)
    assert plain_words(caught.value.errors()[0]) == words
