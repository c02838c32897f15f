"""Timings of our engine beside other people's software: each in a process of its own, in turn, in one run.

`models` writes the folder that everybody loads, `competitors` says who there is and which Python has what they need,
`process` talks to one of them, `race` lets them answer alike and then takes their times, `figures` and `results` are
the arithmetic and the account. What runs on the other side of a pipe lies in `peer_side` and imports nothing of ours.
"""
