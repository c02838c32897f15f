"""From what `speed.py` measured to the page docs/speed.md: the aims line by line, then every table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from roformer_numpy.benchmarking import machine, results
from roformer_numpy.benchmarking.figures import ratio, spread
from roformer_numpy.benchmarking.race import Measured

# Aims of the engine: times over G and its stretch (less is better), best float32 peer over the engine and its stretch.
AIMS = {
    "1x16": (1.00, 0.90, 1.15, 1.2), "1x128": (1.12, 1.07, 1.12, 1.18), "8x128": (1.19, 1.10, 1.00, 1.08),
    "1x512": (1.30, 1.18, 1.05, 1.15), "4x512": (1.32, 1.18, 1.25, 1.35), "1x1536": (1.68, 1.45, 1.08, 1.25),
    "MaskedLM 1x128": (1.12, 1.07, 1.2, 1.3), "tiny 1x16": (None, None, 1.8, 2.0),
}  # fmt: skip
RAGGED_AIMS = {"ragged 55 %": (1.16, 1.10, 2.2, 1.2), "ragged 28 %": (1.21, 1.13, 4.8, 1.2)}  # of any length
MEGABYTE = 1e6

Row = tuple[str, str, str, str, str]
HEADS = ("what", "measured", "must", "stretch", "")


def lines_of(records: Iterable[dict[str, Any]]) -> list[Measured]:
    """The records of a section as they were before they became plain values."""
    names = [item.name for item in fields(Measured)]
    return [Measured(**{name: record[name] for name in names}) for record in records]


def verdict(value: float, must: float, stretch: float, more_is_better: bool) -> str:
    """stretch, must, or by how much it was missed."""
    sign = 1 if more_is_better else -1
    if sign * value >= sign * stretch:
        return "stretch"
    if sign * value >= sign * must:
        return "must"
    return f"missed by {100 * abs(value / must - 1):.0f} %"


def aims(found: dict[str, Any]) -> list[Row]:
    """Every line of the table of aims that was measured."""
    lines = lines_of([*found.get("dense", []), *found.get("masked_lm", []), *found.get("tiny", [])])
    rows = [row for case, aim in AIMS.items() for row in dense_aim(lines, case, aim)]
    ragged = lines_of(found.get("ragged", []))
    for case in dict.fromkeys(line.case for line in ragged):
        rows += ragged_aim(ragged, case, RAGGED_AIMS[case.partition(",")[0]])
    for section, make in (("masked_lm", _asked_for), ("cold", _cold), ("first_start", _first_start),
                          ("memory", _memory), ("accuracy", _accuracy), ("peaked", _peaked), ("avx2", _avx2),
                          ("bfloat16", _bfloat16)):  # fmt: skip
        rows += make(found[section]) if section in found else []
    return rows


def dense_aim(lines: Sequence[Measured], case: str, aim: tuple[float | None, float | None, float, float]) -> list[Row]:
    """Over G, and against the best float32 peer."""
    ours = next((line for line in lines if line.case == case and line.name == "engine"), None)
    if ours is None:
        return []
    rows = []
    limit = next((line for line in lines if line.case == case and line.is_limit and line.seconds), None)
    if limit is not None and aim[0] is not None and aim[1] is not None:
        rows.append(_against_limit(f"{case}: × G ({limit.note})", ours, limit, aim[0], aim[1]))
    best = results.best_peer(lines, case, ("engine", "components", "NumPy equations"))
    return [*rows, _against_peer(f"{case}: best peer", ours, best, aim[2], aim[3])]


def ragged_aim(lines: Sequence[Measured], case: str, aim: tuple[float, float, float, float]) -> list[Row]:
    """padding="skip" over G on real tokens; against padded peers, and against those in buckets or one by one."""
    here = [line for line in lines if line.case == case and line.seconds and not line.reason]
    ours = next(line for line in here if line.name == "engine, skip")
    limit, bound = ([line for line in here if line.is_limit and ("attention" in line.name) is with_attention]
                    for with_attention in (False, True))  # fmt: skip
    rows = [_against_limit(f"{case}: × G on real tokens", ours, line, *aim[:2]) for line in limit]
    peers = [line for line in here if not line.is_limit and not line.name.startswith("engine")]
    padded, other = ([line for line in peers if line.name.endswith("padded") is wanted] for wanted in (True, False))
    quickest = _quickest(padded)
    rows.append(_against_peer(f"{case}: best padded peer", ours, quickest, aim[2], aim[2]))
    for line in bound if quickest else ():
        most = f"{ratio(quickest.seconds, line.seconds).middle:.2f}"
        rows.append((f"{case}: the same over G with attention's products", most, "–", "–", ""))
    rows.append(_against_peer(f"{case}: best peer in buckets or one by one", ours, _quickest(other), 1.0, aim[3]))
    for line in here:
        if line.name in ("engine, compute", "engine, encode"):
            share = ratio(line.seconds, ours.seconds)
            rows.append((f"{case}: {line.name} / skip", f"{share.middle:.2f}", "–", "–", ""))
    return rows


def _against_limit(what: str, ours: Measured, limit: Measured, must: float, stretch: float) -> Row:
    share = ratio(ours.seconds, limit.seconds)
    middle = f"{share.middle:.2f} [{share.low:.2f}, {share.high:.2f}]"
    return what, middle, f"≤ {must:.2f}", f"≤ {stretch:.2f}", verdict(share.middle, must, stretch, False)


def _against_peer(what: str, ours: Measured, best: Measured | None, must: float, stretch: float) -> Row:
    if best is None:
        return what, "no peer ran", f"≥ {must:.2f}", f"≥ {stretch:.2f}", "not measured"
    share = ratio(best.seconds, ours.seconds)
    middle = f"{share.middle:.2f} [{share.low:.2f}, {share.high:.2f}], {best.name}"
    return what, middle, f"≥ {must:.2f}", f"≥ {stretch:.2f}", verdict(share.middle, must, stretch, True)


def _quickest(lines: Sequence[Measured]) -> Measured | None:
    return min(lines, key=lambda line: spread(line.seconds).middle, default=None)


def _asked_for(records: list[dict[str, Any]]) -> list[Row]:
    """Logits of every seventh position: the head's share of the time falls to a seventh."""
    middle = {record["name"]: record["time"]["middle"] for record in records if "time" in record}
    states, some = middle.get("engine, states alone"), middle.get("engine, every seventh position")
    if states is None or some is None:
        return []
    part = (some - states) / (middle["engine"] - states)
    text = f"head costs {part:.2f} of all positions' ({1e3 * some:.3g} ms, all {1e3 * middle['engine']:.3g})"
    return [("MaskedLM 1x128: every seventh position", text, "about 1/7", "–", "")]


def _cold(found: dict[str, Any]) -> list[Row]:
    """With weights that are packed at the start, and with those that `roformer warm-up MODEL` has kept."""
    medians = {name: spread(line["seconds"]).middle for name, line in found.items() if line["seconds"]}
    rows, theirs = [], medians.get("ONNX Runtime")
    for name in (name for name in medians if name.startswith("engine")):
        ours = medians[name]
        rows.append((f"cold start, {name}", f"{ours:.2f} s", "≤ 1.50 s", "< 1.00 s", verdict(ours, 1.5, 1.0, False)))
        if theirs is not None:
            text = f"{theirs / ours:.2f} ({theirs:.2f} s)"
            said = verdict(theirs / ours, 1, 1, True)
            rows.append((f"cold start: ONNX Runtime / {name}", text, "≥ 1.00", "> 1.00", said))
    return rows


def _first_start(found: dict[str, Any]) -> list[Row]:
    """Everything is compiled; a terminal says so."""
    seconds = spread(found["engine"]["seconds"]).middle
    said = verdict(seconds, 30, 10, False)
    return [("first start of all, 1x16", f"{seconds:.1f} s", "< 30 s, with a message", "< 10 s", said)]


def _memory(found: dict[str, Any]) -> list[Row]:
    """The peak of all calls over what importing took, in megabytes over the weights."""
    rows: list[Row] = []
    for name, line in found["competitors"].items():
        if "calls" not in line:
            continue
        grown = [(call["length"], call["ever"] - line["imported"] - found["weights"]) for call in line["calls"]]
        length, over = grown[min(1, len(grown) - 1)]
        text = f"{over / MEGABYTE:.0f} MB over the {found['weights'] / MEGABYTE:.0f} MB file, at 1x{length}"
        aim = ("weights + packed vocabulary + 150 MB", "weights + 150 MB") if name == "engine" else ("–", "–")
        rows.append((f"memory, peak less imports: {name}", text, *aim, ""))
    return rows


def _accuracy(records: list[dict[str, Any]]) -> list[Row]:
    """The engine's own error, and over PyTorch's, which it is not to exceed."""
    rows: list[Row] = []
    by_name = {(record["case"], record["name"]): record for record in records if "max" in record}
    for (case, name), ours in by_name.items():
        if name != "engine":
            continue
        good = ours["max"] <= 1e-5 and ours["rms"] <= 1e-6
        text = f"max {ours['max']:.1e}, rms {ours['rms']:.1e}"
        rows.append((f"error, {case}", text, "max ≤ 1e-5, rms ≤ 1e-6", "–", "must" if good else "missed"))
        theirs = by_name.get((case, "PyTorch eager"))
        if theirs is not None:
            most, mean = ours["max"] / theirs["max"], ours["rms"] / theirs["rms"]
            missed = f"missed by {100 * (max(most, mean) - 1):.0f} %" if max(most, mean) > 1 else "must"
            rows.append((f"error, {case}: engine / PyTorch", f"max {most:.2f}, rms {mean:.2f}", "≤ 1.00", "–", missed))
    return rows


def _peaked(records: list[dict[str, Any]]) -> list[Row]:
    lines = lines_of(records)
    share = ratio(lines[1].seconds, lines[0].seconds)
    good = verdict(max(share.middle, 1 / share.middle), 1.1, 1.1, False).replace("stretch", "must")
    text = f"{share.middle:.2f} [{share.low:.2f}, {share.high:.2f}]"
    return [(f"peaked / flat scores, {lines[0].case}", text, "within 10 %", "–", good)]


def _avx2(records: list[dict[str, Any]]) -> list[Row]:
    lines, rows = lines_of(records), []
    for case in dict.fromkeys(line.case for line in lines):
        ours, blas = (next((line for line in lines if line.case == case and line.name.startswith(name)), None)
                      for name in ("engine", "components"))  # fmt: skip
        if ours is not None and blas is not None and blas.seconds:
            rows.append(_against_peer(f"{case}: NumPy's BLAS", ours, blas, 1.0, 1.0))
    return [(*row[:3], "–", row[4].replace("stretch", "must")) for row in rows]


def _bfloat16(records: list[dict[str, Any]]) -> list[Row]:
    """What it saves, and against who else computes with fewer digits; never without the error of both."""
    lines, rows = lines_of(records), []
    for case in dict.fromkeys(line.case for line in lines):
        here = {line.name: line for line in lines if line.case == case and line.seconds and not line.reason}
        ours, exact = here.get("engine bfloat16"), here.get("engine")
        if ours is None or exact is None:
            continue
        rows.append((f"{case}: engine in float32", f"{ratio(exact.seconds, ours.seconds).middle:.2f}", "–", "–", ""))
        theirs = here.get("OpenVINO default")
        if theirs is not None:
            what, measured, *aim = _against_peer(f"{case}: OpenVINO default", ours, theirs, 1.0, 1.0)
            off = f"; off by {ours.error:.1e}, OpenVINO by {theirs.error:.1e}"
            rows.append((what, measured + off, "> 1.00", "–", aim[2].replace("stretch", "must")))
    return rows


def page(found: dict[str, Any], command: str, picture: str) -> str:
    """The whole page."""
    reached = aims(found)
    parts = [
        "# Speed\n",
        f"`{command}` measured this and wrote this page: {machine.in_words(found['machine'])}; model "
        f"{found['model']}, {found['rounds']} rounds or more.\n",
        HOW.format(rounds=found["rounds"]),
        f"![Times by tokens, shape, raggedness, length and batch]({picture})\n",
        "## Aims\n\n" + results.markdown(HEADS, reached),
        *tables(found),
    ]
    return "\n".join(parts)


HOW = """\
Everybody loads the same weights in a process of its own that stays alive, gives the same result within 0.001 (in
float32; who computes in less is listed with his error and never counts as the best), and is then timed in turn, a round
after the other. Figures are medians of {rounds} rounds, or of more where a table counts more, with the quartiles of the
ratios round by round in brackets; who was more than a third slower than the engine in each of the first three rounds
was not asked further where his calls take over a tenth of a second, and his figures are of three rounds; who is best at
padded batches stays. **G** is the time of the model's dense products alone, by the quickest of NumPy's OpenBLAS,
PyTorch's MKL and oneDNN and MKL with packed weights in the same run, named beside each figure: it computes no
attention, no activation and no normalization. MKL is slow on processors that are not Intel's, so that on such a machine
few times G says little, and the peers that rest on it look worse than they would on an Intel machine. torch.compile is
specialised for each shape, which takes it tens of seconds a shape; it is therefore asked about padded batches, not
about buckets. 'Buckets' are four batches of four sequences, sorted by length. The aims for unequal lengths were found
with batches of about 3,000 and 8,000 padded tokens, the lines 'to 192' and 'to 512'; shorter ones are held against the
same figures, and beside them stands what somebody would reach who computed the products of the real tokens as fast as G
and nothing else.
"""


def tables(found: dict[str, Any]) -> list[str]:
    """Everything that was measured."""
    parts = []
    for section, title in (("dense", "Without padding"), ("ragged", "Unequal lengths"), ("masked_lm", "MaskedLM"),
                           ("tiny", "A tiny model"), ("real_tokens", "Padding in a batch of 8x128"),
                           ("peaked", "Scores"), ("avx2", "Held to AVX2"),
                           ("bfloat16", "Products in bfloat16")):  # fmt: skip
        if section in found:
            parts.append(f"## {title}\n\n" + results.markdown(results.COLUMNS, results.rows(lines_of(found[section]))))
    if "accuracy" in found:
        cells = [
            (one["case"], one["name"], f"{one['max']:.1e}", f"{one['rms']:.1e}") if "max" in one
            else (one["case"], one["name"], "–", one["reason"])
            for one in found["accuracy"]
        ]  # fmt: skip
        parts.append("## Error against float64\n\n" + results.markdown(("shape", "who", "max", "rms"), cells))
    if "cold" in found:
        parts.append(
            "## Cold start\n\nFrom the start of a process to the first result of 1x16; packed ahead: after "
            "`roformer warm-up MODEL`.\n\n" + _cold_table(found["cold"])
        )
    if "first_start" in found:
        parts.append("With nothing compiled before:\n\n" + _cold_table(found["first_start"]))
    if "memory" in found:
        parts.append(
            "## Memory\n\nMegabytes that a process has at the peak of a call above what it had before the first one, "
            "without those of files.\n\n" + _memory_table(found["memory"])
        )
    return parts


def _cold_table(found: dict[str, Any]) -> str:
    cells = [
        (name, f"{spread(line['seconds']).middle:.2f}", f"{spread(line['peak']).middle / MEGABYTE:.0f}")
        if line["seconds"] else (name, "–", line["reason"])
        for name, line in found.items()
    ]  # fmt: skip
    return results.markdown(("who", "seconds", "peak MB"), cells)


def added(calls: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """Length, and bytes at the peak of that call above what the process had before the first, shortest one.

    What it had just before a call would tell nothing: it holds what its allocator, or an arena of its own, kept of
    the calls before, which the call uses again.
    """
    return [(call["length"], call["peak"] - calls[0]["before"]) for call in calls]


def _memory_table(found: dict[str, Any]) -> str:
    lengths = [call["length"] for line in found["competitors"].values() for call in line.get("calls", ())]
    lengths = list(dict.fromkeys(lengths))
    cells = [
        (name, *(f"{more / MEGABYTE:.0f}" for _, more in added(line["calls"])))
        if "calls" in line else (name, line["reason"], *("" for _ in lengths[1:]))
        for name, line in found["competitors"].items()
    ]  # fmt: skip
    return results.markdown(("who", *(f"1x{length}" for length in lengths)), cells)
