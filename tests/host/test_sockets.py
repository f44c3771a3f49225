"""What the host's caches see of the sockets' values."""

import torch

from editing import edit


def tensors(value):
    """The tensors that a cache finds by walking through tuples, as 0.33's does."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)


def size(value):
    return sum(t.numel() * t.element_size() for t in tensors(value))


def test_every_tensor_of_a_socket_lies_in_tuples_and_is_counted(host):
    this = edit(host)
    capture = this.probe()[0]
    assert capture.get_ram_usage() == size(capture) > size(capture.attention) + size(capture.grams)
    tokens, instruction = this.tokens_of(), this.instruction_of()
    assert instruction.get_ram_usage() == size(instruction) == size(this.text)
    assert tokens.get_ram_usage() == size(tokens) > instruction.get_ram_usage()


def test_segments_do_not_count_the_capture_twice(host):
    capture = edit(host).probe()[0]
    segments = host.lime.LIMEFeatureCluster.execute(capture, 4, 0)[0]
    assert segments.get_ram_usage() == size(segments.labels) > 0
