"""The task table, on SQLite and on PostgreSQL."""

import threading
import time
import uuid
from collections import Counter

import pytest

from nucseg.core.errors import ConfigError
from nucseg.serving.errors import BusyError
from nucseg.serving.jobs.database import connect
from nucseg.serving.jobs.table import JobTable


@pytest.fixture
def open_table(database):
    engines = []

    def make(**options):
        engines.append(connect(database))
        return JobTable(engines[-1], **options)

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def table(open_table):
    return open_table(max_attempts=2)


def added(table, model=None, threshold=None, max_queue=1000, request=None):
    return table.add(str(uuid.uuid4()), model=model, threshold=threshold, max_queue=max_queue, request=request)


def queued(table, count=1):
    ids = [added(table, threshold=0.3) for _ in range(count)]
    for task_id in ids:
        table.enqueue(task_id)
    return ids


def test_a_task_passes_through_its_states(table) -> None:
    task_id = added(table, model="a", threshold=0.25, max_queue=1)
    assert table.get(task_id) is None  # its upload is still to come
    assert table.claim(10) is None
    table.enqueue(task_id)
    waiting = table.get(task_id)
    assert (waiting.state, waiting.model, waiting.threshold, waiting.attempts) == ("QUEUED", "a", 0.25, 0)
    assert abs(waiting.created - time.time()) < 60
    task = table.claim(10)
    assert (task.id, task.state, task.attempts) == (task_id, "PROCESSING", 1)
    assert task.started >= task.created
    assert table.claim(10) is None
    assert table.extend(task, 10, 0.5)
    assert table.get(task_id).progress == 0.5
    assert table.finish(task, result="somewhere", nuclei=7)
    done = table.get(task_id)
    assert (done.state, done.result, done.nuclei, done.progress) == ("FINISHED", "somewhere", 7, 1.0)
    assert done.expires - done.finished == pytest.approx(24 * 3600, abs=1)
    assert table.counts() == {"FINISHED": 1}
    assert table.delete(task_id)
    assert table.get(task_id) is None
    assert table.delete(task_id)  # its files may have stayed
    table.deleted(task_id)
    assert not table.delete(task_id)
    assert table.counts() == {}


def test_the_oldest_comes_first(table) -> None:
    ids = queued(table, 3)
    assert [table.claim(10).id for _ in range(3)] == ids


def test_a_clock_that_was_set_back_holds_up_nothing_that_is_queued(table) -> None:
    ids = queued(table, 2)
    table._now = table._now - 3600
    assert [table.claim(10).id for _ in ids] == ids


def test_a_silent_worker_loses_its_task_and_may_change_it_no_more(table) -> None:
    queued(table)
    first = table.claim(60)
    assert table.claim(10) is None
    assert table.extend(first, -1, 0.0)  # as if it had been silent since
    second = table.claim(10)
    assert (second.id, second.attempts) == (first.id, 2)
    assert not table.extend(first, 10, 0.9)
    assert not table.finish(first, result="late", nuclei=1)
    assert not table.fail(first, "late", retry_in=None)
    assert table.finish(second, result="right", nuclei=2)
    assert not table.finish(first, result="late", nuclei=1)
    assert table.get(first.id).result == "right"


def test_a_lease_is_extended(table) -> None:
    queued(table)
    task = table.claim(-1)
    assert table.extend(task, 60, 0.0)
    assert table.claim(10) is None


def test_what_stops_every_worker_fails(table) -> None:
    (task_id,) = queued(table)
    for _ in range(2):
        assert table.claim(-1).id == task_id
    assert table.claim(10) is None
    failed = table.get(task_id)
    assert failed.state == "FAILED"
    assert failed.error == "The worker died on each of 2 attempts."


def test_failing_is_tried_again_later_and_not_forever(table) -> None:
    (task_id,) = queued(table)
    assert table.fail(table.claim(10), "first", retry_in=60)
    again = table.get(task_id)
    assert (again.state, again.error) == ("QUEUED", "first")
    assert table.claim(10) is None
    (task_id,) = queued(table)
    assert table.fail(table.claim(10), "first", retry_in=-1)
    assert table.fail(table.claim(10), "second", retry_in=-1)
    assert (table.get(task_id).state, table.get(task_id).error) == ("FAILED", "second")
    (task_id,) = queued(table)
    assert table.fail(table.claim(10), "hopeless", retry_in=None)
    assert table.get(task_id).state == "FAILED"


def test_old_results_expire_and_what_is_running_does_not(open_table) -> None:
    table = open_table(keep_hours=0.0001)  # 0.36 s
    finished, running = queued(table, 2)
    abandoned = added(table)
    table.finish(table.claim(10), result="x", nuclei=0)
    table.claim(10)
    assert table.old() == []
    time.sleep(0.5)
    assert table.old() == table.old() == [finished]
    table.expire(finished)
    table.forget()  # after hours
    assert table.get(finished).state == "EXPIRED"
    assert table.get(finished).result is None
    assert table.get(running).state == "PROCESSING"
    assert table.old() == []
    assert abandoned  # for an hour


def test_the_queue_is_bounded(table) -> None:
    for _ in range(2):
        added(table, max_queue=2)
    with pytest.raises(BusyError) as raised:
        added(table, max_queue=2)
    assert raised.value.retry_after > 0


def test_no_task_is_taken_twice_or_left_by_many_workers(open_table, database) -> None:
    ids = queued(open_table(), 40)
    taken = []

    def work() -> None:
        own = open_table()
        while task := own.claim(60):
            taken.append(task.id)
            assert own.finish(task, result="r", nuclei=1)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Counter(taken) == Counter(ids)


@pytest.mark.parametrize("url", ["no url", "mysql://a/b", "oracle://a"])
def test_other_databases_are_refused(url) -> None:
    with pytest.raises(ConfigError, match="sqlite"):
        connect(url)
