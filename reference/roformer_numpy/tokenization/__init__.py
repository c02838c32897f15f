"""Text to ids and back (TOK-1 to TOK-3): vocab.txt, jieba words, WordPiece, `[CLS] A [SEP] B [SEP]`.

Reading order: `settings` (what a tokenizer knows beside its vocabulary), `vocabulary` (the file and its checks),
`segmentation` (jieba words), `backend` (the pipeline), `windows` (truncation and overflow), `encoding` (the result,
padding, tensors), `folders` (checkpoint folders), `tokenizer` (the class that users see).

Importing this package imports neither `tokenizers` nor `rjieba`: both belong to the extra `[text]` and are loaded when
the first tokenizer is built.
"""

from .encoding import BatchEncoding
from .tokenizer import RoFormerTokenizer

__all__ = ["BatchEncoding", "RoFormerTokenizer"]
