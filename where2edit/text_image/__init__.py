"""Joint text-image encoders behind one interface; each file registers itself.

An encoder has `text(N prompts) -> [N,D]`, `image([B,3,H,W] in [-1,1], any size) -> [B,D]` (differentiable in the
image), `dim` (D), `logit_scale` (multiplies a cosine) and `unit_norm`: whether the embeddings have length one. Where
they have not, whoever takes cosines normalises them.
"""

from where2edit.core.registry import Registry

TEXT_IMAGE = Registry("text-image encoder", "where2edit.text_image")
