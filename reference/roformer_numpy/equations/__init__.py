"""The definition: every component of a RoFormer in plain NumPy, a file a component.

The functions keep the floating-point type of their input; in float64 they are the oracle that other
implementations are judged by. They check nothing: arguments arrive validated.

Axes: batch, seq_len, hidden; inside attention batch, heads, seq_len, head_dim.
"""
