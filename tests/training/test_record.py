from dataclasses import replace

from nucseg.training import record
from nucseg.training.record import data_digest, git_commit


def test_digest_depends_on_content_and_split_but_not_on_order_or_folder(drawn, samples, tmp_path):
    digest = data_digest(samples)
    assert data_digest(samples[::-1]) == digest
    moved = drawn.draw_samples(tmp_path)
    assert data_digest(moved) == digest
    assert data_digest([replace(samples[0], split="test"), *samples[1:]]) != digest
    moved[0].label_path.write_bytes(moved[1].label_path.read_bytes())
    assert data_digest(moved) != digest


def test_no_git_no_commit(monkeypatch):
    def missing(*arguments, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(record.subprocess, "run", missing)
    assert git_commit() is None


def test_commit_of_the_checkout():
    commit = git_commit()
    assert commit is None or len(commit.removesuffix("+changes")) == 40
