"""MCSM: a teacher distils into an ensemble of students, each good at different classes."""

from lightning.pytorch import Callback
from torch import Tensor

from lt_lightning.callbacks.agreement import TeacherAgreement
from lt_lightning.callbacks.distillation import DistillationTargets
from lt_lightning.data.base import Batch
from lt_lightning.losses import (
    BalancedSoftmax,
    CombinationFactory,
    CrossEntropy,
    Distillation,
    InverseSoftmax,
    LossFactory,
    MeanLogits,
    MemberDistillation,
    TermFactory,
)
from lt_lightning.models.backbones import BackboneFactory, BackboneName
from lt_lightning.models.classifiers import ClassifierName
from lt_lightning.modules.base import LongTailModule


class StudentEnsemble(LongTailModule):
    """Multiple Classification Student Model: independent students of different skills, taught by one frozen teacher.

    The loss is ``skill_weight * sum_s skill_s + distill_weight * sum_s kd_s`` and the sum of ``terms``. As MCSM has
    them, students share no parameters and owe each other no terms, so that training them together equals training each
    alone on the same batches. With shared stages and terms they are the distilled experts of RIDE.

    Args:
        class_counts: Training images of each class; the command takes them from the data.
        teacher: A checkpoint (``.ckpt``) of a trained model, or a configuration (``.yaml``) that is trained first, on
            the same data, into the folder ``teacher`` of the run.
        losses: One loss for each student: its skill.
        distillation: What the students learn from the teacher; :class:`MemberDistillation` by default.
        skill_weight: Weight of the students' own losses.
        distill_weight: Weight of distillation.
        cache_targets: Whether the teacher's logits are kept in files beside its checkpoint, 4 bytes an image, class and
            epoch, and taken from there by every run of the same seed, data and batches.
        terms: Losses of all students together.
        backbone: Name of the students' network, or a class of one's own.
        shared_stages: Stages that the students share, from the input on; 0 makes independent networks.
        classifier: Last layer of each student.
        combination: How the students' logits become one prediction; the mean of raw logits by default.
    """

    def __init__(
        self,
        class_counts: list[int],
        teacher: str,
        losses: list[LossFactory] = [CrossEntropy, BalancedSoftmax, InverseSoftmax],  # noqa: B006 - as in the base
        distillation: Distillation | None = None,
        skill_weight: float = 0.5,
        distill_weight: float = 0.5,
        cache_targets: bool = False,
        terms: list[TermFactory] = [],  # noqa: B006 - as in the base
        backbone: BackboneName | BackboneFactory = "resnet32",
        shared_stages: int = 0,
        classifier: ClassifierName = "linear",
        combination: CombinationFactory = MeanLogits,
    ) -> None:
        super().__init__(class_counts, losses, backbone, shared_stages, classifier, combination, terms=terms)
        self.teacher, self.distillation = teacher, distillation or MemberDistillation()
        self.skill_weight, self.distill_weight = skill_weight, distill_weight
        self.cache_targets = cache_targets

    def configure_callbacks(self) -> list[Callback]:
        """The teacher's targets, and how often students agree with it."""
        targets = DistillationTargets(self.teacher, self.cache_targets)
        return [targets, TeacherAgreement(targets)]

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Skill, distillation and terms on images ``(B, 3, H, W)``."""
        expert_logits = self.net(batch["image"])
        skill, mutual = self.skill(expert_logits, batch["target"]), self.mutual(expert_logits, batch["target"])
        distill = self.distillation(expert_logits, self.offset, batch["teacher_logits"], batch["teacher_offset"])
        return {
            "loss": self.skill_weight * skill + self.distill_weight * distill + mutual,
            "skill": skill.detach(),
            "distill": distill.detach(),
        }
