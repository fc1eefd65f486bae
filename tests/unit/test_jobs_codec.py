import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.codec import CodecError, decode, encode, persisted
from storage.refs import ImageRef, VolumeInfo, VolumeRef

names = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)
refs = st.builds(VolumeRef, pool=names, name=names)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    refs,
    st.datetimes(timezones=st.just(UTC)),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.text().filter(lambda key: not key.startswith("$")), inner),
    ),
)


@given(value=values)
def test_a_value_comes_back_from_its_text_as_it_was(value):
    assert decode(json.loads(json.dumps(encode(value)))) == value


def test_a_dataclass_in_a_dataclass_comes_back():
    info = VolumeInfo(VolumeRef("vms", "vm-1"), 5, ImageRef("images", "a"), ("w",), (("job", "1"),))
    assert decode(json.loads(json.dumps(encode(info)))) == info


@pytest.mark.parametrize("value", [object(), {1: 2}, {"$type": "VolumeRef"}, datetime(2030, 1, 1), {1}, b"x"])
def test_what_would_not_come_back_is_refused(value):
    with pytest.raises(CodecError):
        encode(value)


def test_a_type_that_this_version_does_not_know_is_refused():
    with pytest.raises(CodecError, match="Gone"):
        decode({"$type": "Gone", "x": 1})
    with pytest.raises(CodecError, match="VolumeRef"):
        decode({"$type": "VolumeRef", "pool": "vms", "colour": "red"})


def test_two_classes_of_one_name_are_refused():
    @dataclass(frozen=True)
    class VolumeRef:
        x: int

    with pytest.raises(CodecError, match="taken"):
        persisted(VolumeRef)
