"""Losses, distillation and combination of logits: plain torch, equal to the papers' formulas."""

from lt_lightning.losses.base import LongTailLoss, LossFactory
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
from lt_lightning.losses.ncl import NestedCollaboration
from lt_lightning.losses.paco import ParametricContrast
from lt_lightning.losses.proco import ProbabilisticContrast
from lt_lightning.losses.reweighting import ClassBalanced, Focal, LabelAwareSmoothing
from lt_lightning.losses.ride import DistributionAwareDiversity
from lt_lightning.losses.shike import HardNegatives, MutualDistillation
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
    "DistributionAwareDiversity",
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
    "ParametricContrast",
    "PriorCorrected",
    "ProbabilisticContrast",
    "Raw",
    "SharedSupSiam",
    "Space",
    "SupCon",
    "SupSiam",
    "TermFactory",
]
