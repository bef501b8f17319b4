"""The code behind the scripts, one module per command."""
