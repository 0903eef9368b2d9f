"""kerasq-inspect --graph: the network as a picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree

import pytest

from kerasq.commands.graph_picture import graph
from kerasq.commands.inspect import main
from kerasq.conformance import samples
from kerasq.format import dump
from networks import random_resnet23

SVG = "{http://www.w3.org/2000/svg}"
NETWORKS = {
    "resnet23": random_resnet23("SIGN", maps=8, size=16),
    "binary": samples.binary_network(),
    "two ends": samples.float_network(),
}


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS)
def test_a_box_for_each_operator_and_a_line_for_each_reading(model):
    root = xml.etree.ElementTree.fromstring(graph(model))
    boxes = root.findall(f"{SVG}g")
    assert len(boxes) == len(model.inputs) + len(model.operators) + len(model.outputs)
    names = [box.find(f"{SVG}title").text for box in boxes]
    inner = names[len(model.inputs) : len(model.inputs) + len(model.operators)]
    assert inner == [model.output(operator).name for operator in model.operators]
    read = sum(len({i for i in operator.inputs if i >= 0 and not model.tensors[i].is_constant}) for operator in model.operators)
    assert len(root.findall(f"{SVG}path")) == read + len(model.outputs)


def test_lines_at_one_height_lie_side_by_side():
    text = graph(NETWORKS["resnet23"])
    lines = [tuple(map(int, found)) for found in re.findall(r'd="M\d+ (\d+) H(\d+) V(\d+) H', text)]
    assert len(lines) > 5
    for number, (start, lane, end) in enumerate(lines):
        others = [(other_start, other_end) for other_start, other_lane, other_end in lines[:number] if other_lane == lane]
        assert all(end < other_start or other_end < start for other_start, other_end in others)


def test_everything_lies_inside():
    for model in NETWORKS.values():
        root = xml.etree.ElementTree.fromstring(graph(model))
        width, height = int(root.get("width")), int(root.get("height"))
        for box in root.iter(f"{SVG}rect"):
            assert int(box.get("x")) + int(box.get("width")) < width
            assert int(box.get("y")) + int(box.get("height")) < height
        assert max(int(x) for x in re.findall(r"H(\d+)", graph(model)) or ["0"]) < width


def test_the_command(tmp_path, capsys):
    source, target = tmp_path / "a.kq", tmp_path / "a.svg"
    dump(NETWORKS["binary"], source)
    assert main(["kerasq-inspect", str(source), "--graph", str(target)]) == 0
    assert target.read_text("utf-8") == graph(NETWORKS["binary"])
    assert "memory plan" in capsys.readouterr().out
    assert main(["kerasq-inspect", str(source), "--graph", str(tmp_path / "a.png")]) == 2
    assert "names with .png are for an image: use .svg" in capsys.readouterr().err
    assert main(["kerasq-inspect", str(source), "--graph", "-"]) == 0
    out, err = capsys.readouterr()
    assert "memory plan" in err + out
