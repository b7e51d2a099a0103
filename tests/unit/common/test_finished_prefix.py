"""Which offsets may be committed: the finished prefix of each partition, in delivery order."""

from hypothesis import given
from hypothesis import strategies as st

from common.kafka.consumer import Delivery
from common.pipeline import Topic
from common.runner import FinishedPrefix


def delivery(offset: int, partition: int = 0) -> Delivery:
    return Delivery(Topic.VERDICTS, "t", partition, offset, None, None, ())


def test_a_gap_holds_the_prefix_back() -> None:
    # Given three deliveries whose offsets are not consecutive (a transaction marker stood between)
    prefix = FinishedPrefix()
    batch = [delivery(3), delivery(4), delivery(6)]
    prefix.delivered(batch)
    # When the last and the first finish
    prefix.finished(batch[2])
    prefix.finished(batch[0])
    # Then only the first is covered, until the middle one finishes
    assert prefix.take() == {("t", 0): 4}
    prefix.finished(batch[1])
    assert prefix.take() == {("t", 0): 7}
    assert prefix.take() == {}


def test_what_finishes_after_a_revocation_is_ignored() -> None:
    prefix = FinishedPrefix()
    prefix.delivered([delivery(1)])
    prefix.clear()
    prefix.finished(delivery(1))
    assert prefix.take() == {}


@given(st.permutations(range(12)), st.integers(0, 12))
def test_the_prefix_is_exactly_what_is_finished_without_a_gap(order: list[int], finished: int) -> None:
    prefix = FinishedPrefix()
    batch = [delivery(offset) for offset in range(0, 24, 2)]
    prefix.delivered(batch)
    done = set(order[:finished])
    for place in order[:finished]:
        prefix.finished(batch[place])
    covered = next((n for n in range(12) if n not in done), 12)
    expected = {("t", 0): batch[covered - 1].offset + 1} if covered else {}
    assert prefix.take() == expected
