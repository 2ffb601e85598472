"""Judging: a pure function of a judge and of what was observed, and what calls it.

    declaring   how a suite declares judges       judges        a judge, and what its arguments stand for
    words       what judges demand and read       monitoring    what monitors read of any exchange
    observed    what was observed, for judges     running       one judge in, one case out
    cases       what a judge's end means          confirmation  what must be observed again, and what both say
    coverage    which suites judge what           suites        pytest over the suites, in this process
    items, hooks, tally, telling                  pytest's hooks: how it finds, runs and tells of judges
    side_by_side                                  work for two processes

Only `suites` and pytest's hooks know of pytest.
"""
