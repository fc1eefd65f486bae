"""The reader of the small image's stamped blocks."""

import pytest

from lab.images.stamps import (
    BLOCK_BYTES,
    RING_OFFSET,
    SLOTS,
    DamagedStampError,
    Stamp,
    block,
    boots,
    late_writes,
    missing,
    parse,
    read_stamps,
)


def stamp(seq: int, boot: str = "one", *, time_s: float | None = None) -> Stamp:
    return Stamp(seq, float(seq) if time_s is None else time_s, boot, 0, "web")


def disk(*stamps: Stamp) -> bytes:
    ring = bytearray(SLOTS * BLOCK_BYTES)
    for one in stamps:
        at = one.seq % SLOTS * BLOCK_BYTES
        ring[at : at + BLOCK_BYTES] = block(one)
    return bytes(RING_OFFSET) + bytes(ring) + b"behind"


def test_a_block_reads_back_as_the_stamp_it_was_made_from():
    assert parse(block(stamp(7))) == stamp(7)


def test_a_ring_that_went_round_reads_in_the_order_of_its_numbers():
    written = [stamp(seq) for seq in range(SLOTS - 2, SLOTS + 3)]
    assert list(read_stamps(disk(*written))) == written


def test_an_untouched_disk_has_no_stamps():
    assert read_stamps(disk()) == ()


def test_a_torn_block_is_an_error_and_not_a_missing_stamp():
    torn = bytearray(disk(stamp(1)))
    torn[RING_OFFSET + BLOCK_BYTES + 20] ^= 1
    with pytest.raises(DamagedStampError):
        read_stamps(bytes(torn))


def test_a_disk_that_ends_inside_the_ring_is_refused():
    with pytest.raises(ValueError, match="the ring is"):
        read_stamps(disk()[: RING_OFFSET + 5])


def test_lost_numbers_are_named():
    assert missing([stamp(3), stamp(4), stamp(7)]) == (5, 6)


def test_boots_stand_in_the_order_of_the_numbers():
    assert boots([stamp(1), stamp(2), stamp(3, "two")]) == ("one", "two")


def test_a_restart_is_no_late_write():
    assert late_writes([stamp(1), stamp(2), stamp(3, "two"), stamp(4, "two")]) == ()


def test_an_old_run_that_writes_after_a_new_one_began_is_found():
    late = stamp(4, "one", time_s=9.5)
    assert late_writes([stamp(1), stamp(2, "two", time_s=9.0), stamp(3, "two", time_s=10.0), late]) == (late,)
    early_number = stamp(2, "one", time_s=9.5)
    assert late_writes([stamp(1), early_number, stamp(3, "two", time_s=9.0)]) == (early_number,)
