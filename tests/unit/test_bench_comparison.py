"""What a benchmark says, without a clock."""

import json

from bench.comparison import Comparison, Limit, tell


def comparison(ours, theirs, better, aim):
    return Comparison("b", "c", "ms", ours, theirs, better, aim, 3)


def test_a_ratio_is_ours_over_theirs():
    assert comparison(3.0, 2.0, "lower", 1.0).ratio == 1.5


def test_an_aim_bounds_the_ratio_from_the_better_side():
    assert comparison(1.0, 1.0, "lower", 1.0).holds
    assert not comparison(1.1, 1.0, "lower", 1.0).holds
    assert comparison(1.1, 1.0, "higher", 1.0).holds
    assert not comparison(0.9, 1.0, "higher", 1.0).holds


def test_each_comparison_is_one_json_line(capsys):
    told = tell(iter([comparison(1.0, 2.0, "lower", 0.5), comparison(2.0, 1.0, "higher", 3.0)]))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["holds"] for line in lines] == [one.holds for one in told] == [True, False]
    assert set(lines[0]) == {"bench", "case", "unit", "ours", "theirs", "ratio", "better", "aim", "holds", "n"}


def test_a_limit_bounds_the_figure_itself_and_has_no_peer(capsys):
    told = tell([Limit("b", "c", "s", 61.0, "lower", 60, 3), Limit("b", "c", "tries", 60, "higher", 60, 3)])
    assert [one.holds for one in told] == [False, True]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert set(lines[0]) == {"bench", "case", "unit", "ours", "better", "aim", "holds", "n"}
