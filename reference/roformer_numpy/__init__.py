"""The reference RoFormer in NumPy: readable equations and their numba twins."""
