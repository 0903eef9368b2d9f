"""What kerasq-bench found, as text; and whether it can be believed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kerasq.commands.timing import quartiles
from kerasq.text import printable, table

_SPREAD = 0.25  # of the median, between the quartiles: beyond it, a figure says little
_ENOUGH = 5  # samples that have quartiles
_DIFFERENCE = 1.5  # between the latency and the sum of its operators
_RATIO = "{:.3f}".format
_CALL = 5e-6  # seconds that a call may take beside the operators


def doubts(facts: dict[str, Any], runs: int) -> list[str]:
    """Why the figures may be wrong: the machine did something else meanwhile. Of fewer samples than have quartiles, nothing."""
    if runs < _ENOUGH:
        return []
    entry = next((entry for entry in facts["engines"] if entry["isa"] == facts["isa"] and entry["latency"]), None)
    peer, reasons = facts["peer"], []
    if entry is not None:
        reasons += _spread("the latency", entry["latency_samples"])
    if peer is not None:
        reasons += _spread("the ratio", [a / b for a, b in zip(peer["samples"], peer["peer_samples"], strict=True)])
    total = sum(operator["seconds"] for operator in facts["operators"])
    if entry is not None and facts["operators"]:
        beside = entry["latency"] - total
        if not -_CALL < beside < _CALL and not 1 / _DIFFERENCE < entry["latency"] / total < _DIFFERENCE:
            reasons.append(f"the latency is {entry['latency'] / total:.2f} times the sum of the operators")
    return [f"{reason}: measure again on a quiet machine" for reason in reasons]


def _spread(name: str, samples: Sequence[float]) -> list[str]:
    low, high = quartiles(samples)
    spread = (high - low) / statistics.median(samples)
    return [f"half of the samples of {name} lie {100 * spread:.0f} % apart"] if spread > _SPREAD else []


def comparison(found: Sequence[dict[str, Any]]) -> str:
    """Several networks: a row for each."""
    rows = [_row(facts) for facts in found]
    header = ("network", "MACs", "kernels", "kerasq ms", "quartiles", "peer ms", "ratio", "its quartiles", "% of peak")
    doubtful = [f"doubtful: {printable(facts['model'])}: {doubt}" for facts in found for doubt in facts["doubts"]]
    terms = "1 thread; ratio: kerasq / peer" if any(facts["peer"] for facts in found) else "1 thread"
    return "\n".join([table(header, rows, right=("MACs", *header[3:])), terms, *doubtful])


def _row(facts: dict[str, Any]) -> list[str]:
    entry, peer = facts["engines"][-1], facts["peer"]
    name, macs = printable(facts["model"]), f"{facts['macs']:,}" if facts["macs"] else ""
    samples = peer["samples"] if peer else entry["latency_samples"]
    seconds = statistics.median(samples)
    share = f"{100 * facts['macs'] / seconds / facts['peak']:.0f}" if facts["macs"] and facts["peak"] else ""
    row = [
        name,
        macs,
        facts["isa"] or entry["engine"],
        _milliseconds(seconds),
        _range(quartiles(samples), _milliseconds),
    ]
    if peer is None:
        return [*row, "", "", "", share]
    return [*row, _milliseconds(peer["peer_latency"]), f"{peer['ratio']:.3f}", _range(peer["ratio_quartiles"], _RATIO), share]


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.{3 if seconds >= 1e-4 else 4}f}"


def _range(ends: Sequence[float], text: Callable[[float], str]) -> str:
    return " .. ".join(map(text, ends))


def report(facts: dict[str, Any]) -> str:
    """What `measure` found, as text."""
    inputs = ", ".join(f"{printable(name)} {'x'.join(map(str, shape))}" for name, shape in facts["inputs"].items())
    header = f"{printable(facts['model'])}: {inputs}"
    if facts["macs"] is not None:
        header += f", {facts['macs']:,} MACs"
    sections = [f"{header}; {facts['processors']} processors", _engine_table(facts)]
    sections.append(
        _operator_table(facts)
        if facts["operators"]
        else "the native engine is not installed: install a C compiler and then kerasq again"
    )
    if facts["divided"]:
        divided = facts["divided"]
        sections.append(
            f"one example in {divided['threads']} threads: {_milliseconds(divided['latency'])} ms; "
            f"in one: {_milliseconds(divided['one_thread_latency'])} ms; "
            f"ratio {divided['ratio']:.3f} (quartiles {_range(divided['ratio_quartiles'], _RATIO)})"
        )
    if facts["peer"]:
        peer = facts["peer"]
        other = peer["peer_engine"]
        names = (Path(facts["model"]).name, Path(peer["peer"]).name) if other == "kerasq" else ("kerasq", other)
        sections.append(
            f"{printable(peer['peer'])} in {other}, 1 thread: {_milliseconds(peer['peer_latency'])} ms; "
            f"kerasq, {facts['isa']}: {_milliseconds(peer['latency'])} ms\n"
            f"{printable(' / '.join(names))}: {peer['ratio']:.3f} "
            f"(quartiles {_range(peer['ratio_quartiles'], _RATIO)} over {peer['pairs']} pairs)"
        )
    return "\n".join(["\n\n".join(sections), *(f"doubtful: {doubt}" for doubt in facts["doubts"])])


def _engine_table(facts: dict[str, Any]) -> str:
    rows = [
        [
            entry["engine"],
            entry["isa"] or "",
            str(entry["threads"]),
            "" if entry["latency"] is None else _milliseconds(entry["latency"]),
            "" if entry["latency"] is None else _range(entry["latency_quartiles"], _milliseconds),
            f"{entry['examples_per_second']:,.1f}",
            _range(entry["examples_per_second_quartiles"], "{:,.0f}".format),
            _giga(facts["macs"] and facts["macs"] * entry["examples_per_second"]),
        ]
        for entry in facts["engines"]
    ]
    header = ("engine", "kernels", "threads", "latency ms", "quartiles", "examples/s", "its quartiles", "GMAC/s")
    return table(header, rows, right=header[2:])


def _operator_table(facts: dict[str, Any]) -> str:
    def rate(macs: int, seconds: float) -> list[str]:
        per_second = macs / seconds
        return [_giga(per_second), f"{100 * per_second / facts['peak']:.0f}" if macs and facts["peak"] else ""]

    rows = [
        [
            str(index),
            entry["kind"],
            printable(entry["output"]),
            entry["kernel"],
            f"{1e6 * entry['seconds']:.2f}",
            _range(entry["quartiles"], lambda seconds: f"{1e6 * seconds:.2f}"),
            f"{100 * entry['share']:.1f}",
            f"{entry['macs']:,}" if entry["macs"] else "",
            *rate(entry["macs"], entry["seconds"]),
        ]
        for index, entry in enumerate(facts["operators"])
    ]
    seconds = sum(entry["seconds"] for entry in facts["operators"])
    rows.append(["", "all", "", "", f"{1e6 * seconds:.2f}", "", "", f"{facts['macs']:,}", *rate(facts["macs"], seconds)])
    header = ("#", "operator", "output", f"kernel ({facts['isa']})", "us", "quartiles", "%", "MACs", "GMAC/s", "% of peak")
    lines = table(header, rows, right=("#", *header[4:]))
    return f"{lines}\npeak, 1 thread: {_giga(facts['peak'])} GMAC/s" if facts["peak"] else lines


def _giga(per_second: float | None) -> str:
    return f"{per_second / 1e9:.2f}" if per_second else ""
