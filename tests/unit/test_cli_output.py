"""How values are written for people."""

import pytest

from service.cli.output import Format, plain, print_one, size


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), ("a\x00b", "a\ufffdb"), ({"a": 1}, '{"a": 1}'), (["x"], '["x"]'), (True, "True")]
)
def test_a_value_is_plain_text(value, text):
    assert plain(value).plain == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 30, "3.0 GiB"), (5 << 50, "5120.0 TiB")],
)
def test_a_size_is_readable(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": True}, "a 1, b yes"),
        ({"reads": {"vms": 0.5, "images": 1}, "osds": 1}, "reads (vms 0.5, images 1), osds 1"),
        ({"links": [{"name": "a"}, {"name": "b"}], "firmwares": ["bios"]}, "links (name a) (name b), firmwares (bios)"),
        ({"none": [], "a": {"b": {"c": 1}}}, '{"none": [], "a": {"b": {"c": 1}}}'),
        ({"none": []}, "none -"),
    ],
)
def test_a_field_with_parts_is_read_in_one_line(capsys, value, text):
    print_one({"field": value}, Format.TABLE)
    assert capsys.readouterr().out.split(maxsplit=1)[1].strip() == text
