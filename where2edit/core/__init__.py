"""What every other room stands on: records, the registry, configs, processes and memory. It knows nothing of faces."""
