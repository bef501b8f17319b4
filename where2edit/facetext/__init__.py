"""Training and measuring the two networks of ours that read faces: the text-image encoder facetext, and the judge."""
