"""The last TensorFlow RoFormer of transformers (4.37): as a graph, or compiled by XLA."""

from __future__ import annotations

from typing import Any

NAMES = {"base": "TFRoFormerModel", "masked_lm": "TFRoFormerForMaskedLM"}


def imports() -> None:
    """What every user of it has in memory."""
    import tensorflow  # noqa: F401
    import transformers  # type: ignore[import-not-found]  # noqa: F401


def load(kind: str, folder: str, head: str, threads: int) -> tuple[str, Any]:
    """`kind` is graph or xla."""
    import tensorflow
    import transformers

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    model = getattr(transformers, NAMES[head]).from_pretrained(folder)

    def plain(ids: Any, mask: Any) -> Any:
        return model(input_ids=ids, attention_mask=mask, training=False)[0]

    call = tensorflow.function(plain, jit_compile=kind == "xla")  # traced, and compiled, for each shape anew

    def prepare(batches: Any, mode: str) -> Any:
        tensors = [tuple(tensorflow.constant(part, "int32") for part in batch) for batch in batches]
        return lambda: [call(*pair).numpy() for pair in tensors]

    return f"TensorFlow {tensorflow.__version__}, transformers {transformers.__version__}", prepare
