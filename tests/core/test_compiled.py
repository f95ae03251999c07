import numba
import numpy as np

from nucseg.core.compiled import compiled


def total(values):
    result = 0.0
    for value in values:
        result += value
    return result


def test_a_compiled_loop_computes_the_same():
    assert compiled(total)(np.array([1.5, 2])) == 3.5


def test_without_a_folder_for_machine_code_it_is_compiled_in_each_process(monkeypatch):
    kept = numba.njit

    def njit(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'total': no locator available")
        return kept(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(total)(np.array([1.5, 2])) == 3.5
