import torch

from lt_lightning.metrics import ShiftedAccuracy

DRAWN = torch.tensor([[True, True, True, True], [True, False, False, True]])


def test_it_counts_the_drawn_images_only() -> None:
    metric = ShiftedAccuracy(DRAWN, torch.zeros(2, 2))
    logits, target = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]), torch.tensor([0, 1, 0, 1])
    metric.update(logits, logits, target, torch.arange(4))
    plain, known = metric.compute()
    assert plain.tolist() == [0.5, 1.0]
    assert torch.equal(plain, known)


def test_a_known_prior_moves_the_decision() -> None:
    metric = ShiftedAccuracy(DRAWN, torch.tensor([[0.0, 0.0], [0.0, -5.0]]))
    logits, target = torch.tensor([[0.0, 1], [0, 1], [0, 1], [0, 1]]), torch.tensor([0, 1, 0, 1])
    metric.update(logits, logits, target, torch.arange(4))
    plain, known = metric.compute()
    assert plain.tolist() == [0.5, 0.5]
    assert known.tolist() == [0.5, 0.5]
    assert metric.known.tolist() == [2, 1]
    assert metric.correct.tolist() == [2, 1]
    only_first = ShiftedAccuracy(DRAWN[1:, :], torch.tensor([[0.0, -5.0]]))
    only_first.update(logits[:1], logits[:1], target[:1], torch.tensor([0]))
    assert [value.item() for value in only_first.compute()] == [0.0, 1.0]


def test_any_division_into_batches_is_the_same() -> None:
    torch.manual_seed(0)
    logits, balanced, target = torch.randn(40, 5), torch.randn(40, 5), torch.randint(5, (40,))
    drawn, prior = torch.rand(3, 40) < 0.5, torch.randn(3, 5)
    whole, parts = ShiftedAccuracy(drawn, prior), ShiftedAccuracy(drawn, prior)
    whole.update(logits, balanced, target, torch.arange(40))
    for index in torch.randperm(40).split(7):
        parts.update(logits[index], balanced[index], target[index], index)
    assert all(torch.equal(a, b) for a, b in zip(whole.compute(), parts.compute(), strict=True))
