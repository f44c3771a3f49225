"""The pack's nodes, one module a node: schema, validation, calls into lime_ops."""

from comfy_api.latest import ComfyExtension, io

from .attention_roi import AttentionRoI
from .attn_regularize_model import AttnRegularizeModel
from .crop_around import CropAround
from .demo_model import DemoModel
from .demo_scene import DemoScene
from .feature_cluster import FeatureCluster
from .instruction import Instruction
from .keep_outside import KeepOutside
from .paste_back import PasteBack
from .probe import Probe
from .words import Words


class LIMEExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            Instruction,
            Words,
            Probe,
            FeatureCluster,
            AttentionRoI,
            AttnRegularizeModel,
            KeepOutside,
            CropAround,
            PasteBack,
            DemoModel,
            DemoScene,
        ]
