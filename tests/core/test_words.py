from nucseg.core.words import counted


def test_the_noun_agrees_with_its_number() -> None:
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(number, "nucleus", "nuclei") for number in (0, 1, 2)] == ["0 nuclei", "1 nucleus", "2 nuclei"]
