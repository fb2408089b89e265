"""When a partition counts as stalled."""

from messaging.projections.consuming.stalls import OUTRUN_AFTER_S, STALLED_AFTER_S, stalled

LATE, VERY_LATE = STALLED_AFTER_S + 1, OUTRUN_AFTER_S + 1


def test_records_that_nobody_takes_are_a_stall() -> None:
    assert stalled({0: 1, 1: 0}, {0: LATE, 1: LATE}) == {0: LATE}


def test_an_idle_partition_is_not_stalled_however_old_its_checkpoint_is() -> None:
    assert stalled({0: 0, 1: 0}, {0: VERY_LATE, 1: VERY_LATE}) == {}


def test_a_partition_that_was_checked_lately_is_not_stalled() -> None:
    assert stalled({0: 5_000}, {0: STALLED_AFTER_S}) == {}


def test_a_partition_may_wait_for_its_turn_while_others_with_records_move() -> None:
    assert stalled({0: 9, 1: 9}, {0: LATE, 1: 1}) == {}
    assert stalled({0: 9, 1: 9}, {0: VERY_LATE, 1: 1}) == {0: VERY_LATE}


def test_idle_partitions_do_not_hide_one_that_is_stalled() -> None:
    assert stalled({0: 9, 1: 0}, {0: LATE, 1: 1}) == {0: LATE}


def test_records_where_no_consumer_ever_began_are_a_stall() -> None:
    assert stalled({0: 9, 1: 9, 2: 0}, {1: 1}) == {0: None}


def test_a_halted_partition_is_left_out_with_or_without_an_age() -> None:
    assert stalled({0: 9, 1: 9}, {0: LATE}, {0: "why", 1: "why"}) == {}
