"""Losses, distillation and combination of logits: plain torch, equal to the papers' formulas."""

from lt_lightning.losses.base import LongTailLoss, LossFactory
from lt_lightning.losses.collaboration import HardNegatives, MutualDistillation, NestedCollaboration
from lt_lightning.losses.combination import CombinationFactory, MeanLogits, MeanProbabilities, PriorCorrected
from lt_lightning.losses.contrastive import BalancedContrast, ContrastFactory, ContrastiveTerm, ExpertViews, SupCon
from lt_lightning.losses.distillation import (
    Aligned,
    Distillation,
    EnsembleDistillation,
    FamilyDistillation,
    MemberDistillation,
    Raw,
    Space,
)
from lt_lightning.losses.ensemble import EnsembleTerm, TermFactory
from lt_lightning.losses.margin import LDAM
from lt_lightning.losses.reweighting import ClassBalanced, Focal, LabelAwareSmoothing
from lt_lightning.losses.ride import RideDiversity
from lt_lightning.losses.softmax import BalancedSoftmax, CrossEntropy, InverseSoftmax, LogitAdjustment
from lt_lightning.losses.supsiam import SharedSupSiam, SupSiam

__all__ = [
    "LDAM",
    "Aligned",
    "BalancedContrast",
    "BalancedSoftmax",
    "ClassBalanced",
    "CombinationFactory",
    "ContrastFactory",
    "ContrastiveTerm",
    "CrossEntropy",
    "Distillation",
    "EnsembleDistillation",
    "EnsembleTerm",
    "ExpertViews",
    "FamilyDistillation",
    "Focal",
    "HardNegatives",
    "InverseSoftmax",
    "LabelAwareSmoothing",
    "LogitAdjustment",
    "LongTailLoss",
    "LossFactory",
    "MeanLogits",
    "MeanProbabilities",
    "MemberDistillation",
    "MutualDistillation",
    "NestedCollaboration",
    "PriorCorrected",
    "Raw",
    "RideDiversity",
    "SharedSupSiam",
    "Space",
    "SupCon",
    "SupSiam",
    "TermFactory",
]
