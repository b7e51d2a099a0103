"""Plans and fates follow from their seeds alone, and leave nothing out."""

from common.failpoint import POINTS
from headrace.local.services import SERVICES
from tests.chaos.evidence import Accepted, FaultSeen
from tests.chaos.model_faults import LAST_FAULTY_CALL, Fate, answer_of, fate_of
from tests.chaos.nemesis import stage_of
from tests.chaos.plan import Action, deck, make_plan
from tests.chaos.recovery import Recovery, recoveries, worst_alone
from tests.chaos.system import CORE_SERVERS, MODEL_SERVER
from tests.chaos.workload import job_body, marker, marker_in


def test_the_same_seed_is_the_same_plan() -> None:
    assert make_plan(5, 120) == make_plan(5, 120)
    assert make_plan(5, 120) != make_plan(6, 120)


def test_three_minutes_hold_at_least_twelve_faults_and_all_begin_in_time() -> None:
    for seed in range(50):
        plan = make_plan(seed, 178)

        assert len(plan) >= 12
        assert all(fault.at_s < 178 for fault in plan)


def test_the_deck_holds_a_kill_a_hang_and_a_restart_of_everything() -> None:
    cards = {(action, targets) for action, targets, _ in deck(elasticsearch=True, delete_topics=False)}

    for target in (*SERVICES, *CORE_SERVERS, "elasticsearch"):
        for action in (Action.KILL, Action.STOP, Action.RESTART):
            assert (action, (target,)) in cards
    assert (Action.KILL, (MODEL_SERVER,)) in cards


def test_topics_are_deleted_only_on_request() -> None:
    assert not any(action is Action.DELETE_TOPIC for action, _, _ in deck(elasticsearch=True, delete_topics=False))
    assert any(action is Action.DELETE_TOPIC for action, _, _ in deck(elasticsearch=True, delete_topics=True))


def test_every_crash_point_belongs_to_a_service() -> None:
    assert {stage_of(point) for point in POINTS} == set(SERVICES)


def test_a_call_meets_the_same_fate_in_every_replay() -> None:
    assert answer_of(3, marker(1), 1, 0.5) == answer_of(3, marker(1), 1, 0.5)


def test_every_fate_is_met_and_bad_luck_ends() -> None:
    fates = {fate_of(1, marker(number), 1, 0.5) for number in range(2000)}

    assert fates == set(Fate)
    assert {fate_of(1, marker(number), LAST_FAULTY_CALL + 1, 1.0) for number in range(50)} == {Fate.OK}


def test_a_marker_survives_the_prompt() -> None:
    assert marker_in(b'{"messages":[{"content":"marker=' + marker(17).encode() + b'\\n\\ntext"}]}') == marker(17)
    assert job_body(1, 17) == job_body(1, 17)
    assert marker(17).encode() in job_body(1, 17)


def test_recovery_is_counted_from_the_kill_and_from_the_end_of_a_hang() -> None:
    kill = FaultSeen("kill", "kafka", 100.0, 104.0)
    hang = FaultSeen("stop", "kafka", 100.0, 104.0)
    accepted = [Accepted("m1", "job-1", 99.0), Accepted("m2", "job-2", 101.0), Accepted("m3", "job-3", 105.0)]
    seen = {"job-1": 100.5, "job-2": 106.0, "job-3": 107.0}

    assert recoveries([kill], accepted, seen) == [Recovery(kill, 6.0)]
    assert recoveries([hang], accepted, seen) == [Recovery(hang, 3.0)]


def test_a_fault_after_which_no_job_came_has_no_recovery_time() -> None:
    kill = FaultSeen("kill", "kafka", 100.0, 104.0)

    assert recoveries([kill], [Accepted("m1", "job-1", 99.0)], {"job-1": 101.0}) == [Recovery(kill, None)]


def test_a_fault_that_another_fell_into_is_marked_and_not_the_worst() -> None:
    first = FaultSeen("kill", "kafka", 100.0, 104.0)
    second = FaultSeen("kill", "postgres", 103.0, 104.0)
    third = FaultSeen("kill", "kafka", 120.0, 124.0)
    accepted = [Accepted("m1", "job-1", 104.0), Accepted("m2", "job-2", 121.0)]
    seen = {"job-1": 109.0, "job-2": 125.0}

    found = recoveries([first, second, third], accepted, seen)

    assert [each.alone for each in found] == [False, False, True]
    assert worst_alone(found, "kill", ["kafka"]) == 5.0
