"""Results that are made up, for tests of what is written about them."""

from roformer_conformance.records import AttentionDifference, Growth, Record, Result, TapError

SCRIPT = "<script>document.title = 'pwned'</script>"
CLAIMS = ("MASK-1", "MASK-2.1", "FFN-4.1", "ROT-2.4", "TOK-1.1")


def result(name: str = "mine", *, fails: bool = False) -> Result:
    """A run on five claims: one is not claimed, one unchecked, one fails if `fails`."""
    message = f"attentions.0[0, 1] is 9 times too large {SCRIPT}\nsecond line"
    failed = Record(
        "MASK-1/weight-is-zero", "MASK-1", "base", "float32", "failed", claim=f"A claim {SCRIPT}", message=message,
        case=f"base {SCRIPT}", grade=float("inf"), seconds=0.5, replay=f"again '{SCRIPT}'", also=("MASK-2.1",),
        diagnosis=(f"looks like {SCRIPT}",),
    )  # fmt: skip
    records = (
        Record("MASK-1/ones-are-none", "MASK-1", "base", "float32", "passed", seconds=0.25, grade=1.5),
        Record("MASK-2.1/content", "MASK-2.1", "base", "float32", "passed", seconds=0.25),
        Record("FFN-4.1/probe", "FFN-4.1", "base", "float32", "differs", message="known", seconds=1.0),
        Record("ROT-2.4/value", "ROT-2.4", "", "", "not_claimed", message="needs cache"),
        *([failed] if fails else []),
    )
    taps = tuple(TapError(f"hidden_states.{layer}", 1e-7, 1.2e-7, 0.9) for layer in range(3))
    attention = AttentionDifference("attentions.0", 1, 9.0, ((0.0, 0.5), (float("nan"), 0.0)))
    growth = Growth("base", "float32", "a model", taps, attention if fails else None)
    return Result(name, "1.0", "smoke", 0, records, CLAIMS, seconds=3.0, environment={"python": "3.11"}, growth=growth)
