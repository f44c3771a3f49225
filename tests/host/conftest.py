"""The real ComfyUI: in this process with the pack loaded as ComfyUI loads it, and as a server."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from demo.host import load_pack, pack_module, use_host


def load_host():
    """The host's modules and node classes by id, the pack's among them."""
    use_host()
    import comfy.samplers
    import comfy_extras.nodes_custom_sampler as custom_sampler
    import comfy_extras.nodes_ip2p as ip2p

    import nodes

    lime = SimpleNamespace(**load_pack())
    return SimpleNamespace(
        nodes=nodes,
        lime=lime,
        ops=pack_module("lime_ops"),
        sockets=pack_module("nodes.sockets"),
        samplers=comfy.samplers,
        custom=custom_sampler,
        ip2p=ip2p,
    )


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    host = load_host()
    import folder_paths

    folder_paths.set_temp_directory(str(tmp_path_factory.mktemp("temp")))
    return host


@pytest.fixture(scope="session")
def server():
    """Address of a running ComfyUI with the pack in custom_nodes, beside small models that stand in for large."""
    from demo.server import comfyui_server

    with comfyui_server(Path(__file__).with_name("stand_ins")) as address:
        yield address


@pytest.fixture(scope="session")
def object_info(server):
    from demo.client import Client

    return Client(server).object_info()
