"""The engine: all layers of an encoder in float32 as a few compiled loops over packed weights.

| module | what |
|---|---|
| `machine` | instruction sets and the block of a product that fits each |
| `intrinsics`, `microkernel` | instructions that numba has no word for; the innermost loop, written as LLVM |
| `panels`, `products` | packed weights, and matrix products over them |
| `single`, `activating`, `rows` | elementary functions in float32, activations, what else happens to a row |
| `sums` | sums in a fixed order, written as LLVM |
| `embedding`, `normalizing`, `transposing`, `fetching` | first states, LayerNorm, keys as columns, what is asked for |
| `attention`, `softening` | attention in tiles with a running softmax |
| `factors` | what a product multiplies: float32, or pairs of bfloat16 |
| `tasks`, `workers` | how threads share a pass without waiting for each other to arrive |
| `tokens`, `call`, `scratch` | what a pass is handed: where tokens stand, sizes, memory |
| `forward`, `by_rows`, `by_columns` | the steps of a pass, and the two orders that they are taken in |
| `schedules` | the pass as it is compiled |
| `dense` | one product with what follows it: heads, and the projection of embeddings |
| `model` | packing a model, and running a call |
"""
