"""Distillation of one frozen teacher into several students.

A level says what is compared with the teacher (each student, or the ensemble), a space says in which logits. For the
geometric mean q- of the students q_m, distilling each student alone equals distilling the ensemble plus a penalty on
diversity: mean_m KL(p||q_m) = KL(p||q-) + mean_m KL(q-||q_m). All levels sum over students, so that they compare.

- [Hinton et al., 2015] Distilling the Knowledge in a Neural Network. https://arxiv.org/abs/1503.02531
- [Wood et al., 2023] A Unified Theory of Diversity in Ensemble Learning. https://arxiv.org/abs/2301.03962
- Distillation in a prior-adjusted space: NCL, https://arxiv.org/abs/2203.15359; MDCS, https://arxiv.org/abs/2308.09922
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F


def kl_divergence(target_logits: Tensor, logits: Tensor) -> Tensor:
    """KL(softmax(target_logits) || softmax(logits)) in nats, mean over all but the last dimension; both in float32."""
    target = F.log_softmax(target_logits.float(), dim=-1)
    return F.kl_div(F.log_softmax(logits.float(), dim=-1), target, reduction="none", log_target=True).sum(-1).mean()


class Space(nn.Module):
    """The logits in which a student is compared with its teacher."""

    def forward(self, logits: Tensor, offset: Tensor) -> Tensor:
        """Map raw logits ``(..., B, C)`` of a model that was trained with ``offset`` ``(..., C)``."""
        raise NotImplementedError


class Aligned(Space):
    """Logits plus the offset of the model's own loss, so that both sides estimate the posterior of the training prior.

    Matching them hands over what the teacher knows of images and leaves each student its own prior, its skill.
    """

    def forward(self, logits: Tensor, offset: Tensor) -> Tensor:
        """``logits + offset``."""
        return logits.float() + offset.unsqueeze(-2)


class Raw(Space):
    """Logits as they are; students of different skills are pulled to one distribution. For ablations."""

    def forward(self, logits: Tensor, offset: Tensor) -> Tensor:
        """``logits``."""
        return logits.float()


class Distillation(nn.Module):
    """Divergence of students from a teacher, times the squared temperature, summed over students [Hinton et al., 2015].

    Args:
        temperature: T; both sides' logits are divided by it.
        space: The logits that are compared; :class:`Aligned` by default.
    """

    def __init__(self, temperature: float = 2.0, space: Space | None = None) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, got {temperature}")
        self.temperature = temperature
        self.space = space or Aligned()

    def forward(self, student: Tensor, student_offset: Tensor, teacher: Tensor, teacher_offset: Tensor) -> Tensor:
        """Loss in nats.

        Args:
            student: Raw logits of the students, ``(E, B, C)``.
            student_offset: Offsets of their losses, ``(E, C)``.
            teacher: Raw logits of the teacher, ``(B, C)``.
            teacher_offset: Offset of the teacher's loss, ``(C,)``.
        """
        student = self.space(student, student_offset) / self.temperature
        teacher = self.space(teacher.detach(), teacher_offset) / self.temperature
        return len(student) * self.temperature**2 * self.divergence(student, teacher)

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean divergence a student, of logits ``(E, B, C)`` from logits ``(B, C)``."""
        raise NotImplementedError


class FamilyDistillation(Distillation):
    """KL(teacher || ensemble) + diversity_weight * diversity of the students, q- being their geometric mean.

    Args:
        diversity_weight: 1 is member-wise distillation, 0 distils the ensemble and leaves diversity free, below 0
            rewards diversity.
        temperature: T.
        space: The logits that are compared; :class:`Aligned` by default.
    """

    def __init__(self, diversity_weight: float, temperature: float = 2.0, space: Space | None = None) -> None:
        super().__init__(temperature, space)
        self.diversity_weight = diversity_weight

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean divergence a student, of logits ``(E, B, C)`` from logits ``(B, C)``."""
        ensemble = student.mean(0)
        diversity = kl_divergence(ensemble.expand_as(student), student)
        return kl_divergence(teacher, ensemble) + self.diversity_weight * diversity


class MemberDistillation(Distillation):
    """Each student is distilled by itself.

    Args:
        temperature: T.
        space: The logits that are compared; :class:`Aligned` by default.
    """

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean of KL(teacher || student) over students, of logits ``(E, B, C)`` from logits ``(B, C)``."""
        return kl_divergence(teacher.expand_as(student), student)


class EnsembleDistillation(FamilyDistillation):
    """The ensemble, the geometric mean of the students, is distilled.

    Args:
        temperature: T.
        space: The logits that are compared; :class:`Aligned` by default.
    """

    def __init__(self, temperature: float = 2.0, space: Space | None = None) -> None:
        super().__init__(0.0, temperature, space)
