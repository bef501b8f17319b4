"""What edits did, in sentences for people."""

from __future__ import annotations

from where2edit.core.sentences import figure
from where2edit.editor.recipe_photos import RecipePhoto
from where2edit.editor.session import Result
from where2edit.editor.steps import Step
from where2edit.photo_editing.edits import PhotoResult


def local(result: Result, allow_full: bool) -> bool:
    """Whether nothing leaked and, unless `allow_full`, the mask left something outside."""
    certificate = result.edit.certificate[0]
    return certificate.local and (allow_full or not certificate.whole)


def local_photo(result: PhotoResult, allow_full: bool) -> bool:
    """The same of what a step did to a photo, whose certificate counts."""
    whole = any(face.edit.certificate[0].whole for face in result.faces)
    return result.certificate.local and (allow_full or not whole)


def sentence(result: Result) -> str:
    """What a result did, in one line for people."""
    certificate = result.edit.certificate[0]
    cosines = f"cosine {figure(result.before, '.3f')} -> {figure(result.after, '.3f')}"
    text = (
        f"{result.said}: {cosines} at strength {result.strength:.3g}, mask "
        f"{certificate.mask_area:.1%}, {certificate.changed:.1%} of the pixels changed, leak {certificate.leak_max:g}"
    )
    if not certificate.promised:
        text += " (this method is not local: it promises nothing outside of the mask)"
    if certificate.mask_area == 0:
        return f"{text}; nothing was edited: {nothing_edited(result.step)}"
    if certificate.whole:
        text += f"; {certificate.allowed_area:.1%} of the pixels may change, so that the certificate proves little"
    if result.strength == 0:
        denied = f"the face does not show {result.said.attribute}: nothing was edited"
        return f"{text}; {denied if result.said.denied else 'strength 0 leaves everything as it is'}"
    return text if result.understood else f"{text}; the encoder sees no gain: it may not understand these words"


def nothing_edited(step: Step) -> str:
    """Why the mask of an edit is empty, and what to do."""
    if step.mask is None:
        return "the attention found no region for these words, try --where or --coverage 1"
    if step.mask_mode == "multiply":
        return "the attention found no region for these words inside of the mask, try --coverage 1"
    return "the mask is black everywhere, paint white what should change"


def photo_sentences(result: PhotoResult, photo: RecipePhoto) -> list[str]:
    """What a step did to each face of a photo, a line each, and what all so far did to the photo itself."""
    several = len(result.faces) > 1
    numbers = [f"face {face.number}, " if several else "" for face in photo.faces]
    lines = [f"{number}{sentence(each)}" for number, each in zip(numbers, result.faces, strict=True)]
    certificate = result.certificate
    allowed = f"{certificate.allowed:,} of {certificate.pixels:,} pixels may change"
    return [*lines, f"  in the photo {allowed}, {certificate.changed:,} did, leak {certificate.leak}"]
