from nucseg.inference.engine import Proposals


def test_a_tile_is_ready_with_the_last_of_what_it_waits_for() -> None:
    """Four tiles in a row, each needs its neighbours; the first is not asked for."""
    proposals = Proposals({1: [0, 1, 2], 2: [1, 2, 3], 3: [2, 3]})
    assert proposals.wanted == [0, 1, 2, 3]
    assert proposals.add(0, "a") == []
    assert proposals.add(2, "c") == []
    assert proposals.add(1, "b") == [(1, {0: "a", 1: "b", 2: "c"})]
    assert proposals.add(3, "d") == [(2, {1: "b", 2: "c", 3: "d"}), (3, {2: "c", 3: "d"})]


def test_proposals_are_kept_no_longer_than_a_tile_waits_for_them() -> None:
    proposals = Proposals({0: [0, 1], 1: [0, 1, 2]})
    for tile in (0, 1):
        proposals.add(tile, [tile])
    assert proposals.held == {0: [0], 1: [1]}
    proposals.add(2, [2])
    assert proposals.held == {}
