"""where2edit: text-guided image editing with region-based attention; only the region that the words name changes."""

__version__ = "0.1.0"
