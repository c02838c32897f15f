"""The gradients in numba, where that pays: twins of `equations/gradients/`, file by file and name by name.

Products are BLAS's and cost the same either way. What is worth compiling is what NumPy makes many passes or calls for:
the slope of an activation, the softmax, the layer normalization, the loss over a vocabulary, the rows of an embedding.
"""
