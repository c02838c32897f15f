"""The gradients of the definition: a vector-Jacobian product for every component and loss, file for file.

For y = f(x) and a scalar s, `upstream` is ∂s/∂y, of y's shape; `f_vjp(upstream, …)` returns ∂s/∂x, of x's shape, for
each x that s can be moved by. The formulas are those of calculus, written out and derived in the docstrings; nothing
traces or records. They keep the floating-point type of their input, and in float64 they are the oracle of gradients.

Where a component is constant (a key that is masked, a row that sees nothing, a label that is ignored) its gradient is
exactly 0, and where it has a kink (relu at 0) the gradient is that of the flat side.
"""
