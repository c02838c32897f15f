"""Property-based checks that hold any RoFormer implementation against the contract."""
