import pytest

from nucseg.batch.progress import Progress


@pytest.mark.parametrize("counts_nuclei", [True, False])
def test_the_bar_counts_nuclei_only_where_there_are_some(capsys, counts_nuclei):
    with Progress(1, counts_nuclei=counts_nuclei) as bar:
        bar.open(2)
        bar.tile(3)
        bar.tile(4)
        bar.image()
    shown = capsys.readouterr().err
    assert "image 1/1" in shown
    assert ("7 nuclei" in shown) == counts_nuclei
    assert ("nuclei" in shown) == counts_nuclei
