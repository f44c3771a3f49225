"""Workflow JSON to API format."""

import pytest

from demo.workflow import set_inputs, to_api

INFO = {
    "Sampler": {
        "input": {
            "required": {"model": ["MODEL", {}], "seed": ["INT", {"default": 0}], "name": [["euler", "heun"], {}]},
            "optional": {"strength": ["FLOAT", {"default": 1.0}]},
        }
    },
    "Loader": {"input": {"required": {"image": [["a.png"], {"image_upload": True}], "text": ["STRING", {}]}}},
}


def workflow(*nodes, links=()):
    return {"nodes": list(nodes), "links": [list(link) for link in links]}


def test_widget_values_get_their_names_and_links_their_sources():
    sampler = {
        "id": 2,
        "type": "Sampler",
        "inputs": [{"name": "model", "link": 9}],
        "widgets_values": [5, "fixed", "heun", 0.5],
    }
    loader = {"id": 1, "type": "Loader", "title": "Mine", "widgets_values": ["a.png", "image", "hello"]}
    prompt = to_api(workflow(sampler, loader, links=[(9, 1, 0, 2, 0, "MODEL")]), INFO)
    assert prompt["2"]["inputs"] == {"model": ["1", 0], "seed": 5, "name": "heun", "strength": 0.5}
    assert prompt["1"]["inputs"] == {"image": "a.png", "text": "hello"}
    assert prompt["1"]["_meta"]["title"] == "Mine"


def test_a_wired_widget_takes_the_wire():
    loader = {
        "id": 1,
        "type": "Loader",
        "widgets_values": ["a.png", "image", ""],
        "inputs": [{"name": "text", "link": 3}],
    }
    prompt = to_api(workflow(loader, links=[(3, 7, 1, 1, 1, "STRING")]), INFO)
    assert prompt["1"]["inputs"]["text"] == ["7", 1]


def test_a_subgraph_is_opened():
    inner = {
        "id": "sub",
        "nodes": [
            {
                "id": 1,
                "type": "Loader",
                "widgets_values": ["a.png", "image", "inside"],
                "inputs": [{"name": "text", "link": 5, "widget": {"name": "text"}}],
            }
        ],
        "links": [
            {"id": 5, "origin_id": -10, "origin_slot": 0, "target_id": 1, "target_slot": 0},
            {"id": 6, "origin_id": 1, "origin_slot": 0, "target_id": -20, "target_slot": 0},
        ],
    }
    face = {
        "id": 3,
        "type": "sub",
        "widgets_values": ["typed outside"],
        "inputs": [{"name": "asked", "link": None, "widget": {"name": "text"}}],
    }
    sampler = {
        "id": 2,
        "type": "Sampler",
        "widgets_values": [5, "fixed", "heun"],
        "inputs": [{"name": "model", "link": 9}],
    }
    outer = workflow(face, sampler, links=[(9, 3, 0, 2, 0, "MODEL")]) | {"definitions": {"subgraphs": [inner]}}
    prompt = to_api(outer, INFO)
    assert prompt["3:1"]["inputs"] == {"image": "a.png", "text": "typed outside"}
    assert prompt["2"]["inputs"]["model"] == ["3:1", 0]


def test_notes_and_muted_nodes_are_left_out():
    assert to_api(workflow({"id": 1, "type": "MarkdownNote"}, {"id": 2, "type": "Loader", "mode": 2}), INFO) == {}


def test_what_cannot_be_converted_is_named():
    with pytest.raises(ValueError, match=r"node 1 \(Loader\) is bypassed"):
        to_api(workflow({"id": 1, "type": "Loader", "mode": 4}), INFO)
    with pytest.raises(ValueError, match="the server has no node 'Gone'"):
        to_api(workflow({"id": 1, "type": "Gone"}), INFO)
    with pytest.raises(ValueError, match="the workflow has no Gone node"):
        set_inputs({}, "Gone", seed=1)
