"""Places-LT."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from lt_lightning.data.augment import Augmentation, RandomHorizontalFlip
from lt_lightning.data.base import Split
from lt_lightning.data.listed import BALANCING, ListedDataModule, PublishedList, Source, rewrite
from lt_lightning.data.views import ColorJitter

PLACES = "http://places2.csail.mit.edu/download.html"


class PlacesLT(ListedDataModule):
    """Places-LT: 365 classes of scenes; 62,500 training, 7,300 validation and 36,500 test images.

    Training counts fall from 4,980 to 5: 131 many-, 163 medium- and 71 few-shot classes. Validation images, 20 a class,
    are taken from Places365's training images, test images are its validation images, 100 a class [Liu et al., 2019],
    https://arxiv.org/abs/1904.05160. Figures of papers that test on the 7,300 (PaCo, GPaCo) do not compare. Terms: the
    images' copyright is their owners'; non-commercial research and education. Images: Places365-Standard [Zhou et al.,
    2017], https://doi.org/10.1109/TPAMI.2017.2723009. Lists: those of [Kang et al., 2020],
    https://arxiv.org/abs/1910.09217, or those that others made of them for the small images.

    Layout: ``root/train/airfield/00004851.jpg`` and ``root/val/airfield/Places365_val_00003597.jpg``, or that of the
    small images, ``root/data_256/a/airfield/00004851.jpg`` and ``root/val_256/Places365_val_00003597.jpg``.

    Args:
        **kwargs: Arguments of :class:`~lt_lightning.data.listed.ListedDataModule`.
    """

    terms = "Places' terms: non-commercial research and education; copyright of the images is their owners'"
    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "training images of 256 x 256 pixels, train_256_places365standard.tar",
            PLACES,
            "24 GB",
            "root/data_256/a/airfield/00000001.jpg, ...",
            "md5:53ca1c756c3d1e7809517cc47c5561c5",
        ),
        Source(
            "validation images of 256 x 256 pixels, val_256.tar",
            PLACES,
            "0.5 GB",
            "root/val_256/Places365_val_00000001.jpg, ...",
            "md5:e27b17d8d44f4af9a78502beb927f808",
        ),
    )
    published: ClassVar[dict[Split, PublishedList]] = {
        "train": PublishedList(
            f"{BALANCING}/Places_LT/Places_LT_train.txt",
            2_092_674,
            62_500,
            (
                "sha256:726c4871dcbf07ce2f857703bfe32e9a83ffbf52d704239f6d95c4f4f4c247f7",
                "sha256:09410632a22045212fb3231623261e8426ba8dc1887a2b633afeab78ba9c8868",
            ),
        ),
        "val": PublishedList(
            f"{BALANCING}/Places_LT/Places_LT_val.txt",
            253_480,
            7_300,
            (
                "sha256:719e3cf3766c09134ea28f56f1036c78def511ac1ed2c2532a6beef78f2439ba",
                "sha256:09cf0e5abf684f946f60b6bf9c526a5ee85d09f555d2c4b9cfaaf22b19d04974",
            ),
        ),
        "test": PublishedList(
            f"{BALANCING}/Places_LT/Places_LT_test.txt",
            1_705_400,
            36_500,
            (
                "sha256:44eee8441c8098c59195465abede425721bc35525d75209f9433b161a6eb37bc",
                "sha256:3c34622e44f036b17c7926b0b6bbdd3d335fa63077409ebb06da68afa7073cd9",
            ),
        ),
    }
    groups = 131, 163, 71

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def default_augment(self) -> list[Augmentation]:
        """Flips and changes of brightness, contrast and saturation by up to 0.4."""
        return [RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4, 0.0, p=1.0)]

    def style(self, text: bytes) -> bytes:
        """``train/bakery-shop/NAME`` and ``val_256/NAME``: what both styles say."""
        text = rewrite(r"val/[^/\s]+/", "val_256/", text)
        return rewrite(r"data_256/[a-z]/(\S+)/", lambda line: b"train/%s/" % line[1].replace(b"/", b"-"), text)

    def layouts(self, text: bytes, names: Sequence[str]) -> Iterator[bytes]:
        """That of the small images, then that of the large ones."""
        yield rewrite(r"train/((.)[^/\s]+)/", _small, text)
        folders = [name.encode() for name in names]

        def nested(line: re.Match[bytes]) -> bytes:
            return b"val/%s/%s %s" % (folders[int(line[2])], line[1], line[2])

        yield rewrite(r"val_256/(\S+) (\d+)", nested, text)


def _small(line: re.Match[bytes]) -> bytes:
    return b"data_256/%s/%s/" % (line[2], line[1].replace(b"-", b"/"))
