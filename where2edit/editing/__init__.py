"""The figure of the paper, one box per file: regions, mapping, attention, masks, blending, certificate, sequences."""
