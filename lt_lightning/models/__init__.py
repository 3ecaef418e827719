"""Networks that return one row of logits per expert, ``(E, B, C)``: backbones, classifiers, and what they cost."""

from lt_lightning.models.backbones import Backbone, BackboneFactory
from lt_lightning.models.depth_experts import DepthExperts
from lt_lightning.models.experts import MultiExpert, NetworkFactory

__all__ = ["Backbone", "BackboneFactory", "DepthExperts", "MultiExpert", "NetworkFactory"]
