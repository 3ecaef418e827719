"""ImageNet-LT, and the twenty classes of it that MCE's authors study."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from lt_lightning.data.augment import Augmentation, RandomHorizontalFlip
from lt_lightning.data.base import Split
from lt_lightning.data.listed import BALANCING, MCE, ListedDataModule, PublishedList, Source, rewrite
from lt_lightning.data.views import ColorJitter

IMAGES = (
    Source(
        "training images, ILSVRC2012_img_train.tar, which holds an archive for each class",
        "https://image-net.org/challenges/LSVRC/2012/",
        "138 GB",
        "root/train/n01440764/n01440764_10026.JPEG, ...",
        "md5:1d675b47d978889d74fa0da5fadfb00e",
    ),
    Source(
        "validation images, ILSVRC2012_img_val.tar",
        "https://image-net.org/challenges/LSVRC/2012/",
        "6.3 GB",
        "root/val/ILSVRC2012_val_00000001.JPEG, ... or root/val/n01440764/ILSVRC2012_val_00000293.JPEG, ...",
        "md5:29b22e2961454d5413ddabcf34fc5622",
    ),
)


class ImageNetLT(ListedDataModule):
    """ImageNet-LT: 1,000 classes; 115,846 training, 20,000 validation and 50,000 test images.

    Training counts fall from 1,280 to 5: 385 many-, 479 medium- and 136 few-shot classes. Validation images, 20 a
    class, are taken from ILSVRC-2012's training images, test images are its validation images, 50 a class [Liu et al.,
    2019], https://arxiv.org/abs/1904.05160. Terms: https://image-net.org/download, non-commercial research and
    education, on registration. Lists: those of [Kang et al., 2020], https://arxiv.org/abs/1910.09217.

    Layout: ``root/train/WNID/NAME.JPEG``, and ``root/val/NAME.JPEG`` or ``root/val/WNID/NAME.JPEG``.

    Args:
        **kwargs: Arguments of :class:`~lt_lightning.data.listed.ListedDataModule`.
    """

    terms = "ImageNet's terms of access: non-commercial research and education, on registration"
    sources: ClassVar[tuple[Source, ...]] = (*IMAGES,)
    published: ClassVar[dict[Split, PublishedList]] = {
        "train": PublishedList(
            f"{BALANCING}/ImageNet_LT/ImageNet_LT_train.txt",
            4_658_674,
            115_846,
            ("sha256:efbdbad4f050237c310b2f354cf95a8b1d7c8d57a63c4ea4bb6bf2bcb012f37f",),
        ),
        "val": PublishedList(
            f"{BALANCING}/ImageNet_LT/ImageNet_LT_val.txt",
            804_172,
            20_000,
            ("sha256:9af7ba688acf9532ff5845a8fb14a1e97fdc4c51ac48bc72c08ea9c3f7ff142e",),
        ),
        "test": PublishedList(
            f"{BALANCING}/ImageNet_LT/ImageNet_LT_test.txt",
            2_344_500,
            50_000,
            ("sha256:d1590191cf8a71fada7b1aaedaa2d139a2aea93ff2f1b755319d0bd8dbaa55d5",),
        ),
    }
    groups = 385, 479, 136

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def default_augment(self) -> list[Augmentation]:
        """Flips and changes of brightness, contrast and saturation by up to 0.4."""
        return [RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4, 0.0, p=1.0)]

    def style(self, text: bytes) -> bytes:
        """Test images without their classes' folders."""
        return rewrite(r"val/n\d{8}/", "val/", text)

    def layouts(self, text: bytes, names: Sequence[str]) -> Iterator[bytes]:
        """Test images in one folder, or in a folder for each class."""
        yield text
        wnids = [name.encode() for name in names]
        yield rewrite(r"val/(\S+) (\d+)", lambda line: b"val/%s/%s %s" % (wnids[int(line[2])], line[1], line[2]), text)


class ImageNet20LT(ImageNetLT):
    """ImageNet-20-LT: the first 20 classes of ImageNet-LT, with other counts; 3,498 training, 1,000 test images.

    Counts: 50 250 1250 352 143 92 47 45 150 50 34 55 25 35 121 5 232 13 392 157, 9 many-, 9 medium- and 2 few-shot
    classes. Test images, 50 a class, come from ILSVRC-2012's training images and are disjoint from those; there are no
    others, so the best epoch is selected on test. The authors' list of test, of 100 classes, belongs to another set.
    From [Wang et al., 2024], https://doi.org/10.1016/j.eswa.2024.124613; terms and layout as :class:`ImageNetLT`.

    Args:
        **kwargs: Arguments of :class:`~lt_lightning.data.listed.ListedDataModule`.
    """

    selected_on_test = True
    sources: ClassVar[tuple[Source, ...]] = (IMAGES[0],)
    published: ClassVar[dict[Split, PublishedList]] = {
        "train": PublishedList(
            f"{MCE}/ImageNet20-LT/ImageNet_LT_train.txt",
            136_142,
            3_498,
            ("sha256:f8db27a1ddae16c6276416c063190984d081ceb12ed3f26b40ed98a6af7313ea",),
        ),
        "val": PublishedList(
            f"{MCE}/ImageNet20-LT/ImageNet_LT_val.txt",
            39_110,
            1_000,
            ("sha256:6a79544de80d55849a37c59892706d290ed6882271c1c3d5bbdb797c1d78d82c",),
        ),
    }
    groups = 9, 9, 2
