"""A demonstration: a good and a bad version of an application roll out under load, on a cluster of its own.

`play` makes it happen, `story` says what is the case at a moment, `screen` and `lines` show it, `pictures` draw what
was, `outcome` says how it ended. All but `play` and its `board` are pure.
"""
