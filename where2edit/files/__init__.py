"""Every byte that comes in or goes out: atomic writes, safetensors, weights, pictures, foreign formats."""
