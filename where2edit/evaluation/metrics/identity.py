"""Identity preservation: cosine of face embeddings before and after the edit (the paper's ID)."""

from __future__ import annotations

from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


class Identity(Metric):
    """Mean cosine of the two embeddings: 1 for equal images, about 0 for two persons."""

    higher_is_better = True

    def measure(self, batch: EditBatch) -> Tensor:
        return (batch.before.embedding(self.needs[0]) * batch.after.embedding(self.needs[0])).sum(1)


@METRICS.register("id_arcface")
class IdArcFace(Identity):
    """Identity by ArcFace, as in the released code, but with a MobileFaceNet instead of its IR-SE50."""

    needs = ("arcface",)
    protocol = "mean cosine of ArcFace (MobileFaceNet, WebFace600K) embeddings of source and edited image, FFHQ crop"


@METRICS.register("id_facenet")
class IdFaceNet(Identity):
    """Identity by FaceNet, as in the paper."""

    needs = ("facenet",)
    protocol = "mean cosine of FaceNet (Inception-ResNet-v1) embeddings of source and edited image, FFHQ crop"
