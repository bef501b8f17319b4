"""The face in a reference picture: references are followed as they were seen in training, framed as FFHQ does."""

from __future__ import annotations

import warnings

from PIL import Image
from torch import Tensor

from where2edit.backbones.face_framing import find_faces, frame_face, is_framed
from where2edit.files.pictures import to_image


def reference_face(picture: Image.Image, size: int) -> Tensor:
    """The largest face in a picture as FFHQ frames it, [1,3,size,size] in [-1,1].

    A picture that is framed so stays as it is. One without a face, such as a crop of hair, gives its central square. A
    warning says so, and it says where there were several faces, or where nothing could look for them.
    """
    image = to_image(picture)
    try:
        faces = find_faces(image)
    except (ImportError, OSError, ValueError) as error:
        warnings.warn(
            f"no face was looked for in the reference picture, its central square is taken: {error}", stacklevel=3
        )
        return _central_square(image)
    if len(faces) == 0:
        warnings.warn("no face was found in the reference picture: its central square is taken", stacklevel=3)
        return _central_square(image)
    if len(faces) > 1:
        warnings.warn(f"{len(faces)} faces were found in the reference picture: the largest is taken", stacklevel=3)
    return image if is_framed(image, faces[0]) else frame_face(image, faces[0], size)


def _central_square(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, :, top : top + side, left : left + side]
